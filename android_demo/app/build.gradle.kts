import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfcompress.demo"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.tfcompress.demo"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    flavorDimensions += "runtime"
    productFlavors {
        // LiteRT 2.3.0 from Google's repository: CPU, GPU and NPU, 16 KB pages.
        create("litert") {
            dimension = "runtime"
            isDefault = true
        }
        // TensorFlow Lite 2.16.1 from Maven Central: CPU only, 4 KB pages, not for 16 KB devices.
        create("central") {
            dimension = "runtime"
        }
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    // A deflated model can't be mapped into memory.
    androidResources {
        noCompress += listOf("tflite", "enc", "bin")
        localeFilters += listOf("en", "zh")
    }
    packaging { jniLibs { useLegacyPackaging = false } }
    testOptions { unitTests { isIncludeAndroidResources = true } }
    lint {
        abortOnError = true
        warningsAsErrors = true
    }
}

kotlin {
    compilerOptions { jvmTarget.set(JvmTarget.JVM_17) }
}

dependencies {
    implementation(project(":core"))
    "litertImplementation"(libs.litert)
    "litertImplementation"(libs.litert.gpu)
    "centralImplementation"(libs.tflite)
    testImplementation(libs.junit4)
    testImplementation(libs.robolectric)
}
