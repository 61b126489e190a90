package org.tfcompress.demo.core.engine

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.LinearEngine
import org.tfcompress.demo.core.LinearFactory
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.security.directCopy

class EngineTest {
    private val flags = MemoryFlags()
    private val guard = CrashGuard(flags)
    private val gpu = EngineConfig(Accelerator.GPU, threads = 2)

    private fun model(): ByteBuffer = directCopy(LinearEngine.model(TestFolder.LIKES))

    private fun input(): ByteBuffer = ByteBuffer.allocateDirect(16).order(ByteOrder.nativeOrder()).putFloat(0, 1f)

    @Test
    fun `what can be had is used and no reason is given`() {
        val info = FallbackOpener(LinearFactory(), guard).open(model(), gpu).info
        assertEquals(Accelerator.GPU, info.actual)
        assertFalse(info.fellBack)
        assertNull(info.reason)
        assertFalse(flags.isSet("opening_gpu"))
    }

    @Test
    fun `a failure falls back to the CPU and says why`() {
        val factory = LinearFactory(refuse = { it == Accelerator.GPU })
        val engine = FallbackOpener(factory, guard).open(model(), gpu)
        assertEquals(EngineInfo(gpu, Accelerator.CPU, "gpu refused the model", 12.5), engine.info)
        assertTrue(engine.info.fellBack)
        assertEquals(1f, engine.answer(input()).getFloat(0))
        engine.close()
        assertTrue(factory.opened.single().closed)
    }

    @Test
    fun `what the device lacks is not even tried`() {
        val factory = LinearFactory(missing = mapOf(Accelerator.NPU to "no driver"), refuse = { it != Accelerator.CPU })
        val info = FallbackOpener(factory, guard).open(model(), EngineConfig(Accelerator.NPU)).info
        assertEquals("no driver", info.reason)
    }

    @Test
    fun `an accelerator that took the app down is not tried again until forgiven`() {
        flags.set("opening_gpu", true)
        val opener = FallbackOpener(LinearFactory(), guard)
        assertTrue(guard.crashedLastTime(Accelerator.GPU))
        assertEquals("gpu did not come back last time", opener.open(model(), gpu).info.reason)
        guard.forgive(Accelerator.GPU)
        assertEquals(Accelerator.GPU, opener.open(model(), gpu).info.actual)
    }

    @Test
    fun `the flag stands while an accelerator is being opened`() {
        var seen = false
        guard.guarded(Accelerator.GPU) { seen = flags.isSet("opening_gpu") }
        assertTrue(seen)
        assertThrows(EngineException::class.java) { guard.guarded(Accelerator.NPU) { throw EngineException("x") } }
        assertFalse(flags.isSet("opening_npu"))
        guard.guarded(Accelerator.CPU) { assertFalse(flags.isSet("opening_cpu")) }
    }

    @Test
    fun `what the CPU can't open is an error`() {
        val opener = FallbackOpener(LinearFactory(refuse = { true }), guard)
        assertThrows(EngineException::class.java) { opener.open(model(), gpu) }
        assertThrows(EngineException::class.java) { opener.open(model(), EngineConfig()) }
    }

    @Test
    fun `bit-identical answers of a GPU are doubted`() {
        val cpu = LinearFactory().open(model(), EngineConfig())
        val same = LinearFactory().open(model(), gpu)
        val other = LinearFactory(gpuError = 1e-5f).open(model(), gpu)
        assertTrue(AcceleratorCheck.probablyOnCpu(same, cpu, input()))
        assertFalse(AcceleratorCheck.probablyOnCpu(other, cpu, input()))
        assertFalse(AcceleratorCheck.probablyOnCpu(cpu, cpu, input()))
    }

    @Test
    fun `the cache keeps engines and closes the one not used for longest`() {
        val factory = LinearFactory()
        val cache = EngineCache(2)
        fun get(name: String, config: EngineConfig = EngineConfig()) =
            cache.get(name, config) { factory.open(model(), config) }
        val a = get("a")
        get("b")
        assertSame(a, get("a"))
        get("c")
        assertEquals(listOf(false, true, false), factory.opened.map { it.closed })
        assertSame(a, get("a"))
        get("a", EngineConfig(threads = 2))
        cache.evict("a")
        assertEquals(0, cache.size)
        get("d")
        cache.close()
        assertTrue(factory.opened.all { it.closed })
        assertThrows(IllegalArgumentException::class.java) { EngineCache(0) }
    }

    @Test
    fun `a failed opening leaves nothing in the cache`() {
        val cache = EngineCache(1)
        assertThrows(EngineException::class.java) { cache.get("a", EngineConfig()) { throw EngineException("x") } }
        assertEquals(0, cache.size)
    }

    @Test
    fun `an opening that hangs is given up, and its engine closed when it comes`() {
        val executor = Executors.newSingleThreadExecutor()
        val release = CountDownLatch(1)
        val late = LinearFactory().open(model(), gpu) as LinearEngine
        val fault = assertThrows(EngineException::class.java) {
            TimedOpening(executor, 20).open {
                release.await()
                late
            }
        }
        assertEquals("not ready after 20 ms", fault.message)
        assertFalse(late.closed)
        release.countDown()
        executor.shutdown()
        assertTrue(executor.awaitTermination(5, TimeUnit.SECONDS))
        assertTrue(late.closed)
    }

    @Test
    fun `an opening in time gives its engine or its fault`() {
        val direct = TimedOpening({ it.run() }, 1000)
        val engine = LinearFactory().open(model(), gpu)
        assertSame(engine, direct.open { engine })
        assertEquals(
            "x",
            assertThrows(EngineException::class.java) {
                direct.open { throw EngineException("x") }
            }.message
        )
        assertThrows(EngineException::class.java) { direct.open { error("driver") } }
    }

    @Test
    fun `a late fault is forgotten`() {
        val executor = Executors.newSingleThreadExecutor()
        val release = CountDownLatch(1)
        assertThrows(EngineException::class.java) {
            TimedOpening(executor, 20).open {
                release.await()
                throw EngineException("late")
            }
        }
        release.countDown()
        executor.shutdown()
        assertTrue(executor.awaitTermination(5, TimeUnit.SECONDS))
    }

    @Test
    fun `versions compare by their numbers, as Python compares them`() {
        val cases = Vectors.read("versions").list("cases")
        for (case in cases) {
            val has = RuntimeVersion.parse(case.string("has"))!!
            // Empty stands for a file that does not say what it needs.
            val needs = case.string("needs").takeIf { it.isNotEmpty() }?.let { RuntimeVersion.parse(it)!! }
            assertEquals(case.boolean("runs"), needs == null || has >= needs, "$needs on $has")
        }
        assertTrue(cases.isNotEmpty())
        for (text in listOf("", "2", "2.x", "v2.1", "2.1.", "2.1.3x")) assertNull(RuntimeVersion.parse(text), text)
        assertEquals("2.17.0", RuntimeVersion.parse("2.17.0-rc1").toString())
        assertEquals(RuntimeVersion(2, 17), RuntimeVersion(2, 17, 0))
        assertEquals(RuntimeVersion(2, 17).hashCode(), RuntimeVersion(2, 17, 0).hashCode())
        assertThrows(IllegalArgumentException::class.java) { RuntimeVersion(2, -1) }
    }

    @Test
    fun `a configuration is checked`() {
        assertThrows(IllegalArgumentException::class.java) { EngineConfig(threads = 0) }
        assertEquals(listOf(1, 2, 4, 4), listOf(0, 2, 4, 16).map(EngineConfig::defaultThreads))
        assertEquals(Accelerator.NPU, Accelerator.of("npu"))
        assertNull(Accelerator.of("tpu"))
    }

    private class MemoryFlags : FlagStore {
        private val names = HashSet<String>()
        override fun isSet(name: String) = name in names

        override fun set(name: String, value: Boolean) {
            if (value) names.add(name) else names.remove(name)
        }
    }
}
