package org.tfcompress.demo.core.engine

import java.util.concurrent.ExecutionException
import java.util.concurrent.Executor
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException

/**
 * Waits for an opening on another thread, but not for ever. A driver that hangs can't be
 * interrupted, so an engine that comes too late is closed when it comes.
 */
class TimedOpening(private val executor: Executor, private val timeoutMillis: Long) {
    /** The engine; throws [EngineException] after the timeout or with what [open] threw. */
    fun open(open: () -> InferenceEngine): InferenceEngine {
        val task = Opening(open)
        executor.execute(task)
        return try {
            task.get(timeoutMillis, TimeUnit.MILLISECONDS)
        } catch (problem: TimeoutException) {
            task.abandon()
            throw EngineException("not ready after $timeoutMillis ms", problem)
        } catch (problem: ExecutionException) {
            throw EngineException(problem.cause?.message ?: "failed", problem)
        }
    }

    private class Opening(open: () -> InferenceEngine) : FutureTask<InferenceEngine>(open) {
        private var abandoned = false

        @Synchronized
        fun abandon() {
            abandoned = true
            if (isDone) closeQuietly()
        }

        @Synchronized
        override fun done() {
            if (abandoned) closeQuietly()
        }

        private fun closeQuietly() {
            try {
                get().close()
            } catch (_: ExecutionException) {
                // It failed late: nothing to close.
            }
        }
    }
}
