package org.tfcompress.demo.data

import android.annotation.SuppressLint
import android.content.Context
import android.content.SharedPreferences
import org.tfcompress.demo.core.engine.FlagStore
import org.tfcompress.demo.core.settings.Settings
import org.tfcompress.demo.work.Live

private fun preferences(context: Context, name: String): SharedPreferences =
    checkNotNull(context.getSharedPreferences(name, Context.MODE_PRIVATE))

/** The user's choices: kept on disk, told to whoever observes [current]. Any thread may read them. */
class SettingsStore(context: Context, private val cores: Int) {
    private val store = preferences(context, "settings")
    val current = Live(read(store, cores))

    fun change(to: Settings) {
        store.edit().apply { to.toMap().forEach { (name, value) -> putString(name, value) } }.apply()
        current.value = to
    }

    fun reset() = change(Settings.defaults(cores))

    companion object {
        private fun read(store: SharedPreferences, cores: Int): Settings =
            Settings.of(store.all.mapNotNull { (name, value) -> (value as? String)?.let { name to it } }.toMap(), cores)

        /** For an activity that needs its theme before the process is set up. */
        fun stored(context: Context): Settings = read(preferences(context, "settings"), 1)
    }
}

/** Flags that are on disk when [set] returns, so that they survive a crash of the next call. */
class PreferenceFlags(context: Context) : FlagStore {
    private val store = preferences(context, "flags")

    override fun isSet(name: String): Boolean = store.getBoolean(name, false)

    // apply() would write too late: the next call may end the process.
    @SuppressLint("ApplySharedPref")
    override fun set(name: String, value: Boolean) {
        store.edit().putBoolean(name, value).commit()
    }
}
