package org.tfcompress.demo.work

import android.os.Handler
import android.os.Looper
import java.util.concurrent.Executor

/** The one thread that opens, runs and closes models; results come back on the main thread. */
class ModelThread(private val executor: Executor) {
    private val main = Handler(checkNotNull(Looper.getMainLooper()))

    /** Runs [work] there and then [done] here. */
    fun <T> run(work: () -> T, done: (T) -> Unit) = executor.execute {
        val result = work()
        main.post { done(result) }
    }

    /** Lets the main thread run [block]. */
    fun tell(block: () -> Unit) {
        main.post(block)
    }
}
