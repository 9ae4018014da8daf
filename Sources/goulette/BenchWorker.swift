// SPDX-License-Identifier: Apache-2.0
//
// BenchWorker.swift
// One client with its load, as the benchmark's task sees it.

import KafkaClient
import Model
import NIOCore
import Terminal

/// A producer whose records are made on its own event loop.
final class BenchWorker: Sendable {
    /// The load, set once on the loop before it starts.
    private final class Box {
        var load: BenchLoad?
    }

    private let client: KafkaClient
    private let producer: Producer
    private let box: NIOLoopBound<Box>

    /// Connects and prepares the load; nothing is sent yet.
    init(_ client: KafkaClient, plan: LoadPlan, settings: ProducerSettings) async throws(ClientError) {
        self.client = client
        let loop = client.eventLoop
        let box = await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: NIOLoopBound(Box(), eventLoop: loop)) }
        }
        self.box = box
        self.producer = try await Producer(client, topics: [plan.topic], settings: settings) { delivery in
            box.value.load?.delivered(delivery)
        }
        let producer = producer
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            producer.onLoop { core in
                box.value.load = BenchLoad(plan, producer: core, eventLoop: loop, clock: .system)
                continuation.resume()
            }
        }
    }

    /// Begins; ``sample()`` tells when it is done.
    func start() {
        let box = box
        client.eventLoop.execute { box.value.load?.start() }
    }

    /// What became of the load so far.
    func sample() async -> LoadResult {
        let box = box
        return await withCheckedContinuation { continuation in
            client.eventLoop.execute { continuation.resume(returning: box.value.load?.sample() ?? LoadResult()) }
        }
    }
}

/// Runs every worker to its end while `watch` is called a few times a second with what became of all of them so far.
///
/// - Returns: What became of each.
func runWorkers(
    _ workers: [BenchWorker], pacedBy client: KafkaClient, watch: (LoadResult) throws -> Void
) async throws -> [LoadResult] {
    for worker in workers { worker.start() }
    while true {
        var (sum, results) = (LoadResult(), [LoadResult]())
        for worker in workers {
            results.append(await worker.sample())
            sum.merge(results[results.count - 1])
        }
        if results.allSatisfy(\.isDone) { return results }
        try watch(sum)
        await client.pause(milliseconds: 50)
    }
}
