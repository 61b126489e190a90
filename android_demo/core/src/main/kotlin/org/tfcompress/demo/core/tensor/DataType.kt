package org.tfcompress.demo.core.tensor

/** Element types of inputs and outputs that this app takes, with their names in the manifest. */
enum class DataType(val id: String, val bytes: Int) {
    FLOAT32("float32", 4),
    INT8("int8", 1);

    companion object {
        /** The type of that name, or null. */
        fun of(id: String): DataType? = entries.firstOrNull { it.id == id }
    }
}
