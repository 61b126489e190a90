package org.tfcompress.demo.data

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import org.tfcompress.demo.Api29
import org.tfcompress.demo.Api31
import org.tfcompress.demo.core.bench.BatteryReading
import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Device
import org.tfcompress.demo.core.bench.Thermal
import org.tfcompress.demo.core.engine.RuntimeInfo

/** What the app may know about the phone: its name and processor, and how it is doing now. */
class Phone(private val context: Context, val runtime: RuntimeInfo) {
    private val power = checkNotNull(context.getSystemService(PowerManager::class.java)) { "no PowerManager" }
    private val battery: BatteryManager? = context.getSystemService(BatteryManager::class.java)
    val cores: Int = Runtime.getRuntime().availableProcessors()

    /** Version of this app. */
    val version: String =
        checkNotNull(context.packageManager?.getPackageInfo(checkNotNull(context.packageName), 0)).versionName.orEmpty()

    val device = Device(
        name = "${Build.MANUFACTURER} ${Build.MODEL}",
        soc = if (Build.VERSION.SDK_INT >= 31) Api31.soc() else null,
        system = "Android ${Build.VERSION.RELEASE}",
        sdk = Build.VERSION.SDK_INT,
        machine = Build.SUPPORTED_ABIS.firstOrNull().orEmpty(),
        cores = cores
    )

    /** Heat and battery saver at this moment; heat is null before API 29. */
    fun condition(): Condition {
        val heat = if (Build.VERSION.SDK_INT >= 29) Thermal.of(Api29.thermal(power)) else null
        return Condition(heat, power.isPowerSaveMode)
    }

    /** The battery at this moment; null where the phone tells nothing of it. */
    fun battery(): BatteryReading? {
        // The system keeps the last such message: it is handed out without a receiver.
        val now = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED)) ?: return null
        val status = now.getIntExtra(BatteryManager.EXTRA_STATUS, BatteryManager.BATTERY_STATUS_UNKNOWN)
        return BatteryReading(
            charge = counter(BatteryManager.BATTERY_PROPERTY_CHARGE_COUNTER),
            current = counter(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW),
            millivolts = now.getIntExtra(BatteryManager.EXTRA_VOLTAGE, 0).takeIf { it > 0 },
            onPower = now.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0 ||
                status == BatteryManager.BATTERY_STATUS_CHARGING
        )
    }

    /** A counter of the battery; a phone without it gives the lowest number, some give 0. */
    private fun counter(id: Int): Long? = battery?.getLongProperty(id)?.takeIf { it != Long.MIN_VALUE && it != 0L }
}
