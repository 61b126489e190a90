package org.tfcompress.demo.work

import java.util.concurrent.CopyOnWriteArraySet

/** A value that tells its observers when it changes. Set and observed on the main thread, read on any. */
class Live<T>(initial: T) {
    private val observers = CopyOnWriteArraySet<(T) -> Unit>()

    @Volatile
    var value: T = initial
        set(value) {
            field = value
            observers.forEach { it(value) }
        }

    /** Calls [observer] now and at each change, until the result is closed. */
    fun observe(observer: (T) -> Unit): AutoCloseable {
        observers.add(observer)
        observer(value)
        return AutoCloseable { observers.remove(observer) }
    }
}
