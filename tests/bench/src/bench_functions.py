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


def pid():
    import os

    return os.getpid()


def pause(milliseconds):
    import time

    time.sleep(milliseconds / 1000.0)
