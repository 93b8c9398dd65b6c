"""What the children call. Small on purpose: Mitogen ships the source of this module."""


def add(a, b):
    return a + b


def echo(data):
    return data


def swallow(data):
    return len(data)


def produce(count):
    import mitogen.core

    if not MADE:
        import random

        MADE.append(random.Random(1).getrandbits(8 * count).to_bytes(count, "little"))
    return mitogen.core.Blob(MADE[0])


MADE = []


def pour(out, count, size):
    import mitogen.core

    item = mitogen.core.Blob(b"\7" * size)
    for _ in range(count):
        out.send(item)
    out.close()


def pid():
    import os

    return os.getpid()


def pause(milliseconds):
    import time

    time.sleep(milliseconds / 1000.0)
