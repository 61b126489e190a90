package org.tfcompress.demo.data

import android.content.Context
import android.os.Build
import android.os.PowerManager
import org.tfcompress.demo.Api29
import org.tfcompress.demo.Api31
import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Device
import org.tfcompress.demo.core.bench.Thermal
import org.tfcompress.demo.core.engine.RuntimeInfo

/** What the app may know about the phone: its name and processor, and how it is doing now. */
class Phone(context: Context, val runtime: RuntimeInfo) {
    private val power = checkNotNull(context.getSystemService(PowerManager::class.java)) { "no PowerManager" }
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
}
