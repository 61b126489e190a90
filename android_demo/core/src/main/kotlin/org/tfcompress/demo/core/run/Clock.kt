package org.tfcompress.demo.core.run

/** A clock that only goes forward, in nanoseconds; `System.nanoTime` outside of tests. */
fun interface Clock {
    fun nanos(): Long
}
