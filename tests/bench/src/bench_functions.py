"""What the children call. Small on purpose: Mitogen ships the source of this module."""


def add(a, b):
    return a + b


def echo(data):
    return data


def pid():
    import os

    return os.getpid()


def pause(milliseconds):
    import time

    time.sleep(milliseconds / 1000.0)
