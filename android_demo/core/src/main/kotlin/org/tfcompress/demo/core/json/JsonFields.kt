package org.tfcompress.demo.core.json

/** A document that is JSON but not what was expected; [path] is as in `manifest.models[2].id`. */
class FieldException(val path: String, val problem: String) : Exception("$path: $problem")

/** Typed access to the members of an object; every fault is a [FieldException] that names the place. */
class JsonFields(private val json: JsonObject, val path: String) {
    val names: Set<String> get() = json.members.keys

    /** Whether the member is missing or null. */
    fun isNull(name: String): Boolean = json.members[name].let { it == null || it == JsonNull }

    fun string(name: String): String = (need(name) as? JsonString ?: wrong(name, "a string")).value

    fun boolean(name: String): Boolean = (need(name) as? JsonBoolean ?: wrong(name, "true or false")).value

    /** A whole number within [range]. */
    fun long(name: String, range: LongRange = Long.MIN_VALUE..Long.MAX_VALUE): Long {
        val value = (need(name) as? JsonNumber)?.toLongOrNull() ?: wrong(name, "a whole number")
        return if (value in range) value else wrong(name, "from ${range.first} to ${range.last}")
    }

    /** A whole number within [range]. */
    fun int(name: String, range: IntRange = Int.MIN_VALUE..Int.MAX_VALUE): Int =
        long(name, range.first.toLong()..range.last.toLong()).toInt()

    fun double(name: String): Double = (need(name) as? JsonNumber ?: wrong(name, "a number")).toDouble()

    fun fields(name: String): JsonFields = JsonFields(need(name) as? JsonObject ?: wrong(name, "an object"), at(name))

    /** The items of an array of objects. */
    fun list(name: String): List<JsonFields> = items(name).mapIndexed { i, item ->
        val where = "${at(name)}[$i]"
        JsonFields(item as? JsonObject ?: throw FieldException(where, "must be an object"), where)
    }

    fun strings(name: String): List<String> = items(name).map {
        (it as? JsonString ?: wrong(name, "an array of strings")).value
    }

    fun ints(name: String): List<Int> = items(name).map {
        (it as? JsonNumber)?.toLongOrNull()?.takeIf { n -> n in Int.MIN_VALUE..Int.MAX_VALUE }?.toInt()
            ?: wrong(name, "an array of whole numbers")
    }

    fun items(name: String): List<JsonValue> = (need(name) as? JsonArray ?: wrong(name, "an array")).items

    /** The value as it stands; missing is a fault. */
    fun need(name: String): JsonValue = json.members[name] ?: throw FieldException(at(name), "is missing")

    /** Throws a [FieldException]: `PATH.name: must be WHAT. Received: ...`. */
    fun wrong(name: String, what: String): Nothing {
        val shown = json.members[name]?.let { JsonText.write(it).trim() } ?: "nothing"
        val short = if (shown.length > SHOWN) shown.take(SHOWN) + "..." else shown
        throw FieldException(at(name), "must be $what. Received: $short")
    }

    private fun at(name: String) = "$path.$name"

    companion object {
        private const val SHOWN = 60

        /** The fields of a whole document, which must be an object. */
        fun of(value: JsonValue, path: String): JsonFields =
            JsonFields(value as? JsonObject ?: throw FieldException(path, "must be an object"), path)
    }
}
