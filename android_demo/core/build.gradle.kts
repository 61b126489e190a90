import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

kotlin {
    compilerOptions {
        jvmTarget.set(JvmTarget.JVM_1_8)
        // Without it ByteBuffer.rewind() and others bind to methods that Android 8 lacks.
        freeCompilerArgs.add("-Xjdk-release=8")
    }
}

dependencies {
    testImplementation(libs.junit5)
    testRuntimeOnly(libs.junit5.launcher)
}

tasks.test {
    useJUnitPlatform()
    // Where the tests find the bundled models and the vectors shared with Python.
    systemProperty("demo.dir", rootDir.path)
}
