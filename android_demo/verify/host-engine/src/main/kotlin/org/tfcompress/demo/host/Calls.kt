package org.tfcompress.demo.host

import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference
import org.tfcompress.demo.core.engine.EngineException

// Statuses of the C API as exceptions.

internal fun ok(status: Int, what: String) {
    if (status != 0) throw EngineException("LiteRT: $what failed with status $status")
}

internal fun pointer(what: String, call: (PointerByReference) -> Int): Pointer {
    val out = PointerByReference()
    ok(call(out), what)
    return out.value ?: throw EngineException("LiteRT: $what gave nothing")
}
