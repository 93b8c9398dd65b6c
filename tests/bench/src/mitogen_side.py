"""Mitogen's side of the benchmarks, driven line by line over standard input.

The first line is a JSON object with the name of a row and the sizes of its samples. Every
further line asks for one sample. Each answer is one line of JSON: {"value": number}.
"""

import concurrent.futures
import json
import os
import sys
import threading
import time

import bench_functions
import mitogen.core
import mitogen.master
import mitogen.select

now = time.perf_counter


class Rows:
    def __init__(self, router, sizes, site):
        self.router = router
        self.sizes = sizes
        self.site = site
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

    def p99_beside_bulk(self):
        near = self.warm()
        if not self.contexts:
            self.contexts.append(self.start(via=near))
            self.kept.append(bench_functions.produce(self.sizes["beside_bulk"]))
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                self.contexts[0].call(bench_functions.swallow, self.kept[0])

        thread = threading.Thread(target=busy)
        thread.start()
        took = []
        for number in range(self.sizes["beside"] // 5):
            begin = now()
            near.call(bench_functions.add, number, 1)
            took.append(now() - begin)
        stop.set()
        thread.join()
        took.sort()
        return took[len(took) * 99 // 100] * 1e6

    def idle_child_cost(self):
        before = resident_kib("self")
        for _ in range(self.sizes["idle"]):
            context = self.start()
            context.call(bench_functions.add, 1, 2)
            self.kept.append(context)
        return (resident_kib("self") - before) / self.sizes["idle"]

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

    def bulk_up(self):
        return self.send(self.warm())

    def bulk_down(self):
        return self.fetch(self.warm())

    def stream(self):
        context = self.warm()
        size = self.sizes["stream_item"]
        count = self.sizes["bulk"] // size
        begin = now()
        receiver = mitogen.core.Receiver(self.router)
        call = context.call_async(bench_functions.pour, receiver.to_sender(), count, size)
        for _ in range(count):
            if len(receiver.get().unpickle()) != size:
                raise ValueError("an item has the wrong size")
        call.get().unpickle()
        return count * size / 1e6 / (now() - begin)

    def send(self, context):
        if not self.kept:
            self.kept.append(bench_functions.produce(self.sizes["bulk"]))
        begin = now()
        count = context.call(bench_functions.swallow, self.kept[0])
        took = now() - begin
        if count != self.sizes["bulk"]:
            raise ValueError("bytes are missing")
        return count / 1e6 / took

    def fetch(self, context):
        begin = now()
        data = context.call(bench_functions.produce, self.sizes["bulk"])
        took = now() - begin
        if len(data) != self.sizes["bulk"]:
            raise ValueError("bytes are missing")
        return len(data) / 1e6 / took

    def idle_child_rss(self):
        context = self.start()
        pid = context.call(bench_functions.pid)
        kib = resident_kib(pid)
        context.shutdown(wait=True)
        return kib / 1024.0

    def ssh(self, compression=True):
        return self.router.ssh(
            hostname="127.0.0.1",
            port=self.site["port"],
            username=self.site["username"],
            identity_file=self.site["identity_file"],
            check_host_keys="ignore",
            compression=compression,
            python_path="/usr/bin/python3",
            ssh_args=["-F", "none"],
        )

    def warm_ssh(self, compression=True):
        if self.context is None:
            self.context = self.ssh(compression)
            self.context.call(bench_functions.add, 1, 2)
        return self.context

    def ssh_warm(self):
        begin = now()
        context = self.ssh()
        took = now() - begin
        context.call(bench_functions.add, 1, 2)
        context.shutdown(wait=True)
        return took * 1e3

    # It keeps nothing over there.
    ssh_cold = ssh_warm

    def ssh_sudo(self):
        via = self.warm_ssh()
        begin = now()
        context = self.router.sudo(
            via=via, password=self.site["password"], python_path="/usr/bin/python3"
        )
        took = now() - begin
        context.call(bench_functions.add, 1, 2)
        context.shutdown(wait=True)
        return took * 1e3

    def ssh_call(self):
        return self.round_trips(self.warm_ssh(), self.sizes["round_trips"])

    def ssh_bulk_up(self):
        # Without compression, which costs time and finds nothing here.
        return self.send(self.warm_ssh(compression=False))

    def ssh_bulk_down(self):
        return self.fetch(self.warm_ssh(compression=False))

    def ssh_200(self):
        def make(_):
            context = self.ssh()
            if context.call(bench_functions.add, 1, 2) != 3:
                raise ValueError("a sum is wrong")
            return context

        # A connection takes its thread until it is there.
        with concurrent.futures.ThreadPoolExecutor(self.sizes["many"]) as pool:
            begin = now()
            contexts = list(pool.map(make, range(self.sizes["many"])))
            took = now() - begin
            list(pool.map(lambda context: context.shutdown(wait=True), contexts))
        return took


def row(rows, name):
    """The method for a row: a far line makes no other row of it."""
    far = "_50ms"
    return getattr(rows, name[: -len(far)] if name.endswith(far) else name)


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
        sample = row(Rows(router, order["sizes"], order["site"]), order["row"])
        for _ in requests:
            answers.write(json.dumps({"value": sample()}) + "\n")
            answers.flush()
    finally:
        broker.shutdown()
        broker.join()


if __name__ == "__main__":
    main()
