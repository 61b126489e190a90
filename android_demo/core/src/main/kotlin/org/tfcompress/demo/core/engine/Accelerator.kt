package org.tfcompress.demo.core.engine

/** Where a model can run, with its name in reports. */
enum class Accelerator(val id: String) {
    CPU("cpu"),
    GPU("gpu"),
    NPU("npu");

    companion object {
        /** The accelerator of that name, or null. */
        fun of(id: String): Accelerator? = entries.firstOrNull { it.id == id }
    }
}
