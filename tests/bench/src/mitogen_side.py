"""Mitogen's side of the benchmarks, driven line by line over standard input.

The first line is a JSON object with the name of a row and the sizes of its samples. Every
further line asks for one sample. Each answer is one line of JSON: {"value": number}.
"""

import json
import os
import sys
import time

import bench_functions
import mitogen.core
import mitogen.master
import mitogen.select

now = time.perf_counter


class Rows:
    def __init__(self, router, sizes):
        self.router = router
        self.sizes = sizes
        self.context = None
        self.contexts = []
        self.kept = []

    def start(self, via=None):
        return self.router.local(python_path=sys.executable, via=via)

    def warm(self):
        if self.context is None:
            self.context = self.start()
            self.context.call(bench_functions.add, 1, 2)
        return self.context

    def chain(self):
        contexts = [self.start()]
        while len(contexts) < self.sizes["chain"]:
            contexts.append(self.start(via=contexts[-1]))
        return contexts

    def round_trips(self, context, count):
        begin = now()
        for number in range(count):
            context.call(bench_functions.add, number, 1)
        return (now() - begin) / count * 1e6

    def local_start_first_call(self):
        begin = now()
        context = self.start()
        context.call(bench_functions.add, 1, 2)
        took = now() - begin
        context.shutdown(wait=True)
        return took * 1e6

    def call_round_trip(self):
        return self.round_trips(self.warm(), self.sizes["round_trips"])

    def pipelined_calls(self):
        context = self.warm()
        window, windows = self.sizes["window"], self.sizes["windows"]
        begin = now()
        for _ in range(windows):
            receivers = [
                context.call_async(bench_functions.add, number, 1)
                for number in range(window)
            ]
            for number, receiver in enumerate(receivers):
                if receiver.get().unpickle() != number + 1:
                    raise ValueError("a sum is wrong")
        return window * windows / (now() - begin)

    def chain10_setup(self):
        begin = now()
        contexts = self.chain()
        took = now() - begin
        contexts[0].shutdown(wait=True)
        return took * 1e6

    def chain10_call(self):
        if self.context is None:
            self.context = self.chain()[-1]
            self.context.call(bench_functions.add, 1, 2)
        return self.round_trips(self.context, self.sizes["chain_round_trips"])

    def scatter(self, children):
        while len(self.contexts) < children:
            context = self.start()
            context.call(bench_functions.add, 1, 2)
            self.contexts.append(context)
        scattered = self.sizes["scattered"]
        begin = now()
        for _ in range(scattered // children):
            select = mitogen.select.Select(
                context.call_async(bench_functions.add, number, 1)
                for number, context in enumerate(self.contexts)
            )
            total = sum(message.unpickle() for message in select)
            if total != children * (children + 1) // 2:
                raise ValueError("a sum is wrong")
        return scattered / (now() - begin)

    def select_20(self):
        return self.scatter(20)

    def select_200(self):
        return self.scatter(200)

    def outstanding_call(self):
        context = self.warm()
        count = self.sizes["outstanding"]
        before = resident_kib("self")
        first = context.call_async(bench_functions.pause, self.sizes["pause"])
        for number in range(count):
            self.kept.append(context.call_async(bench_functions.add, number, 1))
        after = resident_kib("self")
        first.get().unpickle()
        return (after - before) * 1024.0 / count

    def echo_1mib(self):
        context = self.warm()
        data = mitogen.core.Blob(b"\7" * self.sizes["echo"])
        begin = now()
        answer = context.call(bench_functions.echo, data)
        took = now() - begin
        if answer != data:
            raise ValueError("the echo differs")
        return took * 1e6

    def idle_child_rss(self):
        context = self.start()
        pid = context.call(bench_functions.pid)
        kib = resident_kib(pid)
        context.shutdown(wait=True)
        return kib / 1024.0


def resident_kib(process):
    with open("/proc/%s/status" % process) as status:
        kib = [line.split()[1] for line in status if line.startswith("VmRSS:")]
    return int(kib[0])


def main():
    requests, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    # Whatever else prints must not get between the answers.
    os.dup2(2, 1)
    broker = mitogen.master.Broker()
    router = mitogen.master.Router(broker)
    try:
        order = json.loads(requests.readline())
        sample = getattr(Rows(router, order["sizes"]), order["row"])
        for _ in requests:
            answers.write(json.dumps({"value": sample()}) + "\n")
            answers.flush()
    finally:
        broker.shutdown()
        broker.join()


if __name__ == "__main__":
    main()
