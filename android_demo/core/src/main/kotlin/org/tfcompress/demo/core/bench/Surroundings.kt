package org.tfcompress.demo.core.bench

import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.json.jsonObject

// App, runtime and phone as benchmark reports and monitoring logs write them.

internal fun Generator.json() = jsonObject("name" to name, "version" to version, "manifest_sha256" to manifestSha256)

internal fun RuntimeInfo.json() = jsonObject("name" to name, "version" to version.toString())

internal fun Device.json() = jsonObject(
    "name" to name,
    "soc" to soc,
    "system" to system,
    "sdk" to sdk,
    "machine" to machine,
    "cores" to cores
)
