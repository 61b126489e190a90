package org.tfcompress.demo.host

import com.sun.jna.Library
import com.sun.jna.Pointer
import com.sun.jna.ptr.IntByReference
import com.sun.jna.ptr.PointerByReference

/** The functions of the LiteRT C API that are used here. Every function returns a status, 0 = OK. */
@Suppress("FunctionName")
internal interface LiteRtC : Library {
    fun LiteRtCreateEnvironment(n: Int, options: Pointer?, env: PointerByReference): Int
    fun LiteRtCreateModelFromBuffer(env: Pointer, data: Pointer, size: Long, model: PointerByReference): Int
    fun LiteRtDestroyModel(model: Pointer)
    fun LiteRtCreateOptions(options: PointerByReference): Int
    fun LiteRtDestroyOptions(options: Pointer)
    fun LiteRtSetOptionsHardwareAccelerators(options: Pointer, set: Int): Int
    fun LiteRtCreateOpaqueOptions(id: String, payload: Pointer, destructor: Pointer, out: PointerByReference): Int
    fun LiteRtAddOpaqueOptions(options: Pointer, opaque: Pointer): Int
    fun LiteRtCreateCompiledModel(env: Pointer, model: Pointer, options: Pointer, out: PointerByReference): Int
    fun LiteRtDestroyCompiledModel(compiled: Pointer)
    fun LiteRtGetModelSignature(model: Pointer, index: Long, out: PointerByReference): Int
    fun LiteRtGetSignatureInputTensorByIndex(signature: Pointer, index: Long, out: PointerByReference): Int
    fun LiteRtGetSignatureOutputTensorByIndex(signature: Pointer, index: Long, out: PointerByReference): Int
    fun LiteRtGetRankedTensorType(tensor: Pointer, out: Pointer): Int
    fun LiteRtGetQuantizationTypeId(tensor: Pointer, out: IntByReference): Int
    fun LiteRtGetPerTensorQuantization(tensor: Pointer, out: Pointer): Int
    fun LiteRtGetCompiledModelInputBufferRequirements(c: Pointer, s: Long, i: Long, out: PointerByReference): Int
    fun LiteRtGetCompiledModelOutputBufferRequirements(c: Pointer, s: Long, i: Long, out: PointerByReference): Int
    fun LiteRtCreateManagedTensorBufferFromRequirements(e: Pointer, t: Pointer, r: Pointer, o: PointerByReference): Int
    fun LiteRtDestroyTensorBuffer(buffer: Pointer)
    fun LiteRtLockTensorBuffer(buffer: Pointer, address: PointerByReference, mode: Int): Int
    fun LiteRtUnlockTensorBuffer(buffer: Pointer): Int
    fun LiteRtRunCompiledModel(c: Pointer, s: Long, ni: Long, i: Array<Pointer>, no: Long, o: Array<Pointer>): Int
}
