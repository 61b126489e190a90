package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.base64

class ModelGateTest {
    private val folder = TestFolder()
    private val manifest = folder.manifest()
    private val plain = manifest.model("float")!!
    private val secret = manifest.model("secret")!!
    private val gate = ModelGate(folder.reader)

    private fun fault(state: Integrity) = assertInstanceOf(Integrity.Refused::class.java, state).fault

    @Test
    fun `an unchanged model is ready in a direct buffer`() {
        val ready = assertInstanceOf(Integrity.Ready::class.java, gate.open(plain))
        assertTrue(ready.model.isDirect)
        assertEquals(ByteOrder.nativeOrder(), ready.model.order())
        assertArrayEquals(folder.files["float.lin"], bytes(ready.model))
        ready.wipe()
        assertArrayEquals(folder.files["float.lin"], bytes(ready.model))
    }

    @Test
    fun `a direct buffer is not copied`() {
        val mapped = directCopy(folder.files.getValue("float.lin"))
        val ready = assertInstanceOf(Integrity.Ready::class.java, ModelGate { mapped }.open(plain))
        mapped.put(0, 99)
        assertEquals(99, ready.model.get(0))
    }

    @Test
    fun `an encrypted model needs its key`() {
        assertEquals(Integrity.Locked, gate.open(secret))
        val ready = assertInstanceOf(Integrity.Ready::class.java, gate.open(secret, TestFolder.key))
        assertTrue(ready.model.isDirect && ready.model.order() == ByteOrder.nativeOrder())
        assertArrayEquals(folder.files["coarse.lin"], bytes(ready.model))
        ready.wipe()
        assertTrue(bytes(ready.model).all { it.toInt() == 0 })
        val wrong = PassphraseKey.derive("wrong", secret.encryption!!)
        assertEquals(IntegrityFault.WRONG_PASSPHRASE, fault(gate.open(secret, wrong)))
    }

    @Test
    fun `each way to fail has its name`() {
        val file = folder.files.getValue("float.lin")
        folder.files["float.lin"] = file + 0
        assertEquals(IntegrityFault.WRONG_SIZE, fault(gate.open(plain)))
        folder.files["float.lin"] = file.copyOf().also { it[5] = 1 }
        assertEquals(IntegrityFault.WRONG_HASH, fault(gate.open(plain)))
        folder.files.remove("float.lin")
        assertEquals(IntegrityFault.MISSING, fault(gate.open(plain)))
    }

    @Test
    fun `a changed ciphertext is found before the passphrase is asked for`() {
        folder.files.getValue("secret.enc")[3] = 1
        assertEquals(IntegrityFault.WRONG_HASH, fault(gate.open(secret)))
    }

    @Test
    fun `the plaintext has to be the one of the manifest`() {
        folder.files["secret.enc"] = TestFolder.encrypt(ByteArray(48))
        val models = folder.members.getValue("models") as List<*>
        val swapped = folder.entry("secret", "secret.enc", "coarse", (models[2] as Map<*, *>)["encryption"])
        folder.members["models"] = models.dropLast(1) + swapped
        val entry = folder.manifest().model("secret")!!
        assertEquals(IntegrityFault.WRONG_PLAINTEXT, fault(gate.open(entry, TestFolder.key)))
    }

    @Test
    fun `additional data binds a ciphertext to its model`() {
        val cipher = TestFolder.encrypt(ByteArray(5), "tfcompress:1:other")
        assertNull(ModelDecryptor.decrypt(cipher, TestFolder.key, TestFolder.NONCE, "tfcompress:1:secret"))
        val plain = ModelDecryptor.decrypt(cipher, TestFolder.key, TestFolder.NONCE, "tfcompress:1:other")
        assertArrayEquals(ByteArray(5), bytes(plain!!))
    }

    @Test
    fun `keys and plaintexts are Python's`() {
        val cases = Vectors.read("security").list("encryption")
        for (case in cases) {
            val salt = case.base64("salt")
            val key = PassphraseKey.derive(case.string("passphrase"), salt, case.int("iterations"))
            assertArrayEquals(case.base64("key"), key.encoded)
            val plain = ModelDecryptor.decrypt(case.base64("cipher"), key, case.base64("nonce"), case.string("aad"))
            assertArrayEquals(case.base64("plain"), bytes(plain!!))
        }
        assertTrue(cases.isNotEmpty())
    }

    @Test
    fun `passphrases are the same in every Unicode form, and never empty`() {
        val composed = PassphraseKey.derive("na\u00efve", TestFolder.SALT, 1000)
        val decomposed = PassphraseKey.derive("nai\u0308ve", TestFolder.SALT, 1000)
        assertArrayEquals(composed.encoded, decomposed.encoded)
        assertThrows(IllegalArgumentException::class.java) { PassphraseKey.derive("", TestFolder.SALT, 1000) }
    }

    @Test
    fun `side files are checked too`() {
        val side = SideFiles(folder.reader, manifest)
        assertArrayEquals(folder.files["golden/in.bin"], side.read("golden/in.bin"))
        folder.files.getValue("golden/in.bin")[0] = 1
        assertThrows(SideFileException::class.java) { side.read("golden/in.bin") }
        folder.files.remove("golden/in.bin")
        assertThrows(SideFileException::class.java) { side.read("golden/in.bin") }
        assertThrows(SideFileException::class.java) { side.read("float.lin") }
    }

    @Test
    fun `a digest covers the whole buffer`() {
        val buffer = ByteBuffer.wrap("abc".toByteArray())
        buffer.position(2)
        assertEquals("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Digests.sha256(buffer))
        assertEquals(2, buffer.position())
    }
}
