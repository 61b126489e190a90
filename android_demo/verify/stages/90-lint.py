"""Stage lint: Android Lint with all checks, warnings as errors."""

from android.lint import DISABLED, linted
from android.robolectric import copied_app
from stagekit import main, replaced, work

_PLANTED = ("HardcodedText", "MissingTranslation", "UnusedResources")


def check() -> str:
    """Lints the app."""
    files = linted(work("lint"))
    return (
        f"Android Lint 32.5.0 -Wall -Werror on {files} files and all resources, without {', '.join(DISABLED)}: no issue"
    )


def planted() -> None:
    """A text written into a layout, a text without translation, and one that nobody uses."""
    app = copied_app("lint-control-app")
    replaced(
        app / "src/main/res/layout/part_answer.xml",
        "android:layout_height",
        'android:text="Hello"\n        android:layout_height',
    )
    replaced(
        app / "src/main/res/values/strings.xml",
        "</resources>",
        '    <string name="planted">Hello</string>\n</resources>',
    )
    linted(work("lint-control"), app, *_PLANTED)


if __name__ == "__main__":
    main(check, {"planted": (planted, "(?s)" + "".join(f"(?=.*{check})" for check in _PLANTED))})
