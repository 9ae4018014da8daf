// SPDX-License-Identifier: Apache-2.0
//
// BenchEndToEndCommand.swift
// `goulette bench e2e`: how long it takes from writing a record to reading it.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import NIOCore
import Synchronization
import Terminal

struct BenchEndToEndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "e2e", abstract: "Time records from writer to reader.",
        discussion: """
            One client writes at a fixed rate (--rate, 1000 by default), another reads. Latency counts from the \
            instant a record was due to the instant the reader has it, so stalls count in full. Every record is \
            checked: once, and in order; with --acks all the producer is idempotent, so that a retry is no duplicate.
            """)

    @OptionGroup var load: LoadOptions

    @Option(
        name: [.customShort("n"), .customLong("count")],
        help: "How many records. Default: 10000, or no limit with --duration.")
    var count: Int?

    /// What the reader has seen.
    private struct Reading {
        var check: StampCheck
        var error: ClientError?
    }

    /// The reader's state, shared by its event loop and the task that waits.
    private final class ReadingBox: Sendable {
        let reading: Mutex<Reading>
        init(run: UInt64) { reading = Mutex(Reading(check: StampCheck(runs: [run]))) }
    }

    func validate() throws {
        if let count, count < 1 { throw ValidationError("The count is below 1.") }
        guard load.size >= BenchLoad.stampBytes else {
            throw ValidationError("e2e needs values of at least \(BenchLoad.stampBytes) bytes.")
        }
        guard load.acks != .none else { throw ValidationError("e2e needs acknowledgements.") }
        if let problem = load.checkedProducerSettings.problem { throw ValidationError(problem) }
    }

    func run() async throws {
        let report = try await load.connection.withClients(2, "the benchmark did not finish") { clients in
            try await measure(writer: clients[0], reader: clients[1])
        }
        let text = load.json ? report.json.indented + "\n" : report.text(palette: load.connection.palette)
        try FileOutput.standardOutput.write(text)
        guard report.failed == 0, report.verification?.isGood != false else {
            throw ArgumentParser.ExitCode(Terminal.ExitCode.failed.rawValue)
        }
    }

    private func measure(writer: KafkaClient, reader: KafkaClient) async throws -> BenchReport {
        let partitions = try await load.prepareTopic(writer)
        let run = UInt64.random(in: .min ... .max)
        let box = ReadingBox(run: run)
        let consumer = try await startReading(reader, partitions, box)
        let worker = try await BenchWorker(writer, plan: plan(run), settings: load.checkedProducerSettings)
        let before = ProcessUsage.current
        let started = Clock.system.now()
        var progress = BenchProgress(isQuiet: load.json)
        let results = try await runWorkers([worker], pacedBy: writer) { sum in
            try progress.update {
                let elapsed = Double(Clock.system.now().nanoseconds(since: started)) / 1e9
                let rate = elapsed > 0 ? Int(Double(sum.delivered) / elapsed) : 0
                return "\(Humanised.count(sum.delivered)) records  \(Humanised.count(rate))/s  "
                    + "acknowledge p99 \(Humanised.duration(nanoseconds: sum.latency.percentile(99)))"
            }
        }
        try progress.clear()
        let written = results.reduce(0) { $0 + $1.delivered }
        let check = try await wait(for: written, box, reader)
        withExtendedLifetime(consumer) {}
        return report(results, check, written, partitions.count, before)
    }

    private func plan(_ run: UInt64) -> LoadPlan {
        LoadPlan(
            topic: load.topic, slotsFrom: 0, size: load.size, compressibility: load.compressibility,
            count: count ?? (load.duration == nil ? 10_000 : nil), durationNanoseconds: load.durationNanoseconds,
            rate: load.rate ?? 1_000, isStamped: true, run: run, seed: 1)
    }

    /// Reads from the present end on.
    private func startReading(
        _ client: KafkaClient, _ partitions: [TopicPartition], _ box: ReadingBox
    ) async throws -> Consumer {
        let ends = try await client.offsets(.latest, of: partitions)
        let consumer = await Consumer(client)
        await consumer.onLoop { event in
            let now = Clock.system.now()
            box.reading.withLock { reading in
                switch event {
                case .success(let chunk):
                    do throws(ClientError) {
                        try reading.check.see(chunk, at: now)
                    } catch {
                        reading.error = reading.error ?? error
                    }
                case .failure(let error): reading.error = reading.error ?? error
                case nil: break
                }
            }
        }
        await consumer.assign(ends.mapValues { ReadRange(from: $0 ?? .zero) })
        return consumer
    }

    /// Waits until the reader has everything that was written, or the call's time is over.
    private func wait(for written: Int, _ box: ReadingBox, _ client: KafkaClient) async throws -> CheckSnapshot {
        let deadline = Clock.system.now().advanced(byMilliseconds: client.settings.callTimeoutMilliseconds)
        while true {
            let (snapshot, error) = box.reading.withLock {
                (CheckSnapshot(seen: $0.check.seen, verdict: $0.check.verdict, latency: $0.check.latency), $0.error)
            }
            if let error { throw error }
            if snapshot.seen >= written || Clock.system.now() > deadline { return snapshot }
            await client.pause(milliseconds: 5)
        }
    }

    private struct CheckSnapshot: Sendable {
        let seen: Int
        let verdict: Verification
        let latency: LatencyHistogram
    }

    private func report(
        _ results: [LoadResult], _ check: CheckSnapshot, _ written: Int, _ partitionCount: Int, _ before: ProcessUsage
    ) -> BenchReport {
        var sum = LoadResult()
        for result in results { sum.merge(result) }
        var report = BenchReport(kind: "e2e", topic: load.topic, usageBefore: before, usageAfter: ProcessUsage.current)
        report.parameters = load.parameters(
            partitionCount: partitionCount, isIdempotent: load.checkedProducerSettings.isIdempotent
        ).map {
            $0.name == "rate" && load.rate == nil ? ("rate", "1,000 records/s") : $0
        }
        report.records = sum.delivered
        report.failed = sum.failed
        report.payloadBytes = sum.payloadBytes
        report.wireBytes = sum.wireBytes
        report.seconds = sum.seconds
        report.latencies = [
            .init(name: "acknowledge", histogram: sum.latency), .init(name: "endToEnd", histogram: check.latency),
        ]
        var verdict = check.verdict
        verdict.missing = max(verdict.missing, written - (verdict.seen - verdict.duplicated))
        report.verification = verdict
        report.notes.append(
            "Latency counts from the instant a record was due (corrected for coordinated omission).")
        if let error = sum.firstError { report.notes.append("First error: \(error)") }
        return report
    }
}
