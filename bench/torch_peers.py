#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""torch.compile's quantisation of bfloat16 to E4M3, timed as cuda_turns.cuh does: graph replays over rotated buffers, in
turns with a device copy of as many bytes. Prints one JSON object a row."""

import json
import statistics

import torch

F8 = torch.float8_e4m3fn


def per_tensor(x):
    amax = x.abs().amax().float()
    scale = 448.0 / torch.clamp(amax, min=1e-12)
    return (x.float() * scale).clamp(-448.0, 448.0).to(F8), 1.0 / scale


def given(x, scale):
    return (x.float() * scale).clamp(-448.0, 448.0).to(F8)


def groups(x):
    g = x.float().view(x.shape[0], -1, 128)
    amax = g.abs().amax(dim=-1, keepdim=True)
    scale = 448.0 / torch.clamp(amax, min=1e-12)
    return (g * scale).clamp(-448.0, 448.0).to(F8).view_as(x), 1.0 / scale


def silu_mul(x, scale):
    gate, up = x.chunk(2, dim=-1)
    return (torch.nn.functional.silu(gate.float()) * up.float() * scale).clamp(-448.0, 448.0).to(F8)


def transpose(x, scale):
    q = (x.float() * scale).clamp(-448.0, 448.0).to(F8)
    return q, q.t().contiguous()


def graph_of(calls):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph


def measure(graphs, calls, rounds=15):
    times = {name: [] for name in graphs}
    for graph in graphs.values():
        graph.replay()
    for _ in range(rounds):
        for name, graph in graphs.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            graph.replay()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end) * 1e-3 / calls)
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    rows = [
        ("tensor", per_tensor, 1, 1, 0, [16384, 8192, 4096, 2048, 512]),
        ("given", given, 1, 1, 1, [16384, 8192]),
        ("1x128", groups, 1, 1, 0, [16384, 8192]),
        ("silu_mul_given", silu_mul, 2, 1, 1, [16384, 8192]),
        ("transpose", transpose, 1, 2, 1, [16384, 8192]),
    ]
    for name, function, inputs, outputs, needs_scale, sizes in rows:
        for n in sizes:
            torch._dynamo.reset()
            bytes_moved = n * n * (2 * inputs + outputs)
            sets = int(max(1, min(64, 400e6 // bytes_moved)))
            x = [torch.randn(n, n * inputs, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]
            scale = torch.tensor(3.0, device="cuda")
            compiled = torch.compile(function, mode="max-autotune-no-cudagraphs", dynamic=False)
            arguments = [(t, scale) if needs_scale else (t,) for t in x]
            for a in arguments:
                compiled(*a)
            torch.cuda.synchronize()
            source = [torch.empty(bytes_moved // 2, device="cuda", dtype=torch.uint8) for _ in range(sets)]
            target = [torch.empty_like(s) for s in source]
            calls = max(sets, int(min(200, 2e9 // bytes_moved)) // sets * sets)
            ours = graph_of([lambda i=i: compiled(*arguments[i % sets]) for i in range(calls)])
            copy = graph_of([lambda i=i: target[i % sets].copy_(source[i % sets]) for i in range(calls)])
            found = measure({"torch": ours, "copy": copy}, calls)
            print(json.dumps({"name": f"{name}/{n}/{n}", "us": found["torch"] * 1e6, "GB/s": bytes_moved / found["torch"] * 1e-9,
                              "of_copy": found["copy"] / found["torch"]}), flush=True)
            del ours, copy, x, source, target


if __name__ == "__main__":
    main()
