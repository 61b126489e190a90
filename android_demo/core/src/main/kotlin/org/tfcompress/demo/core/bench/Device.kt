package org.tfcompress.demo.core.bench

/** The phone, as reports and monitoring logs name it; [soc] is null before API 31. */
class Device(
    val name: String,
    val soc: String?,
    val system: String,
    val sdk: Int,
    val machine: String,
    val cores: Int
)

/** How hot the phone says it is, from best to worst; names as in reports. */
enum class Thermal(val id: String) {
    NONE("none"),
    LIGHT("light"),
    MODERATE("moderate"),
    SEVERE("severe"),
    CRITICAL("critical"),
    EMERGENCY("emergency"),
    SHUTDOWN("shutdown");

    companion object {
        /** From `PowerManager.getCurrentThermalStatus()` (0..6); null for other numbers. */
        fun of(status: Int): Thermal? = entries.getOrNull(status)
    }
}

/** State of the phone at one moment; null where the system does not tell. */
data class Condition(val thermal: Thermal?, val batterySaver: Boolean?) {
    /** From this status on a phone lowers its clock; figures are marked. */
    val hot: Boolean get() = thermal != null && thermal >= Thermal.MODERATE
}

/** The app and its models, as reports name them. */
class Generator(val version: String, val manifestSha256: String) {
    val name: String get() = "tfcompress-android"
}
