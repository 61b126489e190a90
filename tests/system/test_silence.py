"""Silence ends for everybody, whoever asked for it, in whatever order."""

import os
import sys
import threading

from tfcompress.system.silence import quiet


def test_silence_of_several_threads_ends_with_the_last():
    stdout, target = sys.stdout, os.readlink("/proc/self/fd/2")
    both_in, first_out = threading.Barrier(2), threading.Event()

    def first():
        with quiet():
            both_in.wait(10)
        first_out.set()

    def second():
        with quiet():
            both_in.wait(10)
            first_out.wait(10)
            found.append(sys.stdout is not stdout)

    found = []
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [True] and sys.stdout is stdout and os.readlink("/proc/self/fd/2") == target
