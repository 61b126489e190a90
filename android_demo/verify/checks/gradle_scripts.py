"""Type check of the .gradle.kts files against the real plugin APIs, without Gradle.

Each script becomes the body of a function whose receivers are the real extension types. This finds misspelt
or missing members and wrong types. It does not evaluate the build: no plugin is applied, no task exists.
"""

import pathlib
import re
import tomllib

from checks import kotlinc
from stagekit import Failed, tool

_SHIM = """
import org.gradle.api.*
import org.gradle.api.artifacts.ProjectDependency
import org.gradle.api.artifacts.dsl.DependencyHandler
import org.gradle.api.initialization.Settings
import org.gradle.api.initialization.resolve.RepositoriesMode
import org.gradle.api.plugins.JavaPluginExtension
import org.gradle.api.tasks.TaskContainer
import org.gradle.api.tasks.TaskProvider
import org.gradle.api.tasks.testing.Test
import org.gradle.kotlin.dsl.*
import com.android.build.api.dsl.ApplicationExtension
import org.jetbrains.kotlin.gradle.dsl.KotlinAndroidProjectExtension
import org.jetbrains.kotlin.gradle.dsl.KotlinJvmProjectExtension

class PluginsScope {
    infix fun Any.apply(flag: Boolean) {}
    fun alias(plugin: PluginAlias): Any = plugin
}
open class PluginAlias
open class LibraryAlias
fun plugins(block: PluginsScope.() -> Unit) = PluginsScope().block()
fun unknown(): Nothing = throw UnsupportedOperationException()
"""
_DEPENDENCIES = """
fun Project.dependencies(block: DependencyHandler.() -> Unit) {}
fun DependencyHandler.project(path: String): ProjectDependency = unknown()
fun DependencyHandler.implementation(what: LibraryAlias) {}
fun DependencyHandler.implementation(what: ProjectDependency) {}
fun DependencyHandler.testImplementation(what: LibraryAlias) {}
fun DependencyHandler.testRuntimeOnly(what: LibraryAlias) {}
"""
_ANDROID = (
    _DEPENDENCIES
    + """
operator fun String.invoke(what: LibraryAlias) {}
fun Project.android(block: ApplicationExtension.() -> Unit) {}
fun Project.kotlin(block: KotlinAndroidProjectExtension.() -> Unit) {}
"""
)
_JVM = (
    _DEPENDENCIES
    + """
fun Project.java(block: JavaPluginExtension.() -> Unit) {}
fun Project.kotlin(block: KotlinJvmProjectExtension.() -> Unit) {}
val TaskContainer.test: TaskProvider<Test> get() = unknown()
operator fun <T : Task> TaskProvider<T>.invoke(block: T.() -> Unit) {}
"""
)
SCRIPTS = {
    "settings.gradle.kts": ("Settings", ""),
    "build.gradle.kts": ("Project", ""),
    "core/build.gradle.kts": ("Project", _JVM),
    "app/build.gradle.kts": ("Project", _ANDROID),
}


def check(demo: pathlib.Path, scratch: pathlib.Path) -> int:
    """The number of scripts; raises `Failed` with the compiler's errors."""
    libs = _catalog(tomllib.loads((demo / "gradle/libs.versions.toml").read_text("utf-8")))
    scratch.mkdir(parents=True, exist_ok=True)
    for path, (receiver, extra) in SCRIPTS.items():
        text = _wrapped(demo / path, re.sub(r"\W", "_", path), receiver, extra + libs)
        (scratch / (re.sub(r"\W", "_", path) + ".kt")).write_text(text, "utf-8")
    jars = sorted(tool("gradle-api").glob("*.jar"))
    plugins = {name: next(jar for jar in jars if name in jar.name) for name in ("sam-with-receiver", "assignment")}
    kotlinc.compile_to(
        scratch / "out",
        [scratch],
        [*(jar for jar in jars if "embeddable" not in jar.name), kotlinc.stdlib()],
        options=(
            "-Xskip-metadata-version-check",
            *(f"-Xplugin={jar}" for jar in plugins.values()),
            *("-P", "plugin:org.jetbrains.kotlin.samWithReceiver:annotation=org.gradle.api.HasImplicitReceiver"),
            "-P",
            "plugin:org.jetbrains.kotlin.assignment:annotation=org.gradle.api.SupportsKotlinAssignmentOverloading",
        ),
    )
    wrapper = (demo / "gradle/wrapper/gradle-wrapper.properties").read_text("utf-8")
    # The oldest Gradle that the Android plugin takes is 8.13; with 9 it is another one.
    if not re.search(r"gradle-8\.(1[3-9])(\.\d+)?-bin\.zip", wrapper):
        raise Failed("gradle-wrapper.properties: the Android plugin 8.13 needs Gradle 8.13 or a newer 8")
    return len(SCRIPTS)


def _catalog(toml: dict) -> str:
    """The `libs` accessors that Gradle makes of the version catalogue; one may be a library and a group."""
    libraries = _tree(toml["libraries"], "LibraryAlias")
    return f"object libs {{ {libraries}; object plugins {{ {_tree(toml['plugins'], 'PluginAlias')} }} }}\n"


def _tree(names: dict, leaf: str) -> str:
    root: dict = {}
    for name in names:
        node = root
        for part in re.split(r"[-_.]", name):
            node = node.setdefault(part, {})
        node[""] = leaf
    return _members(root, leaf)


def _members(node: dict, leaf: str) -> str:
    objects = []
    for name, inner in node.items():
        if name:
            base = f" : {leaf}()" if "" in inner else ""
            objects.append(f"object {name}{base} {{ {_members(inner, leaf)} }}")
    return "; ".join(objects)


def _wrapped(script: pathlib.Path, package: str, receiver: str, extra: str) -> str:
    lines = script.read_text("utf-8").splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    body = [line for line in lines if not line.startswith("import ")]
    head = [f"package {package}", *imports, _SHIM, extra, f"fun {receiver}.script() {{"]
    return "\n".join([*head, *body, "}", ""])
