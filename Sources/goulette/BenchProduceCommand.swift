// SPDX-License-Identifier: Apache-2.0
//
// BenchProduceCommand.swift
// `goulette bench produce`: how fast a cluster takes records, and how long each waits to be acknowledged.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Records
import Terminal

struct BenchProduceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce", abstract: "Write records and time their acknowledgement.",
        discussion: """
            With --rate the latency of a record counts from when it was due, so a stall is charged for everything it \
            held up (corrected for coordinated omission). Without --rate it counts from when it was handed to the \
            client.
            """)

    @OptionGroup var load: LoadOptions

    @Option(
        name: [.customShort("n"), .customLong("count")],
        help: "How many records. Default: 1000000, or no limit with --duration.")
    var count: Int?

    @Option(help: "How many clients, each with its own connection and thread.")
    var clients = 1

    @Flag(help: "Read everything back and check that each record is there once and in order.")
    var verify = false

    func validate() throws {
        if let count, count < 1 { throw ValidationError("The count is below 1.") }
        guard (1...64).contains(clients) else { throw ValidationError("From 1 to 64 clients.") }
        if verify, load.size < BenchLoad.stampBytes {
            throw ValidationError("--verify needs values of at least \(BenchLoad.stampBytes) bytes.")
        }
        if verify, load.acks == .none { throw ValidationError("--verify needs acknowledgements.") }
        if let problem = producerSettings.problem { throw ValidationError(problem) }
    }

    private var producerSettings: ProducerSettings { verify ? load.checkedProducerSettings : load.producerSettings }

    private var total: Int? { count ?? (load.duration == nil ? 1_000_000 : nil) }

    func run() async throws {
        let report = try await load.connection.withClients(clients, "the benchmark did not finish") { clients in
            try await measure(clients)
        }
        let text = load.json ? report.json.indented + "\n" : report.text(palette: load.connection.palette)
        try FileOutput.standardOutput.write(text)
        guard report.failed == 0, report.verification?.isGood != false else {
            throw ArgumentParser.ExitCode(Terminal.ExitCode.failed.rawValue)
        }
    }

    private func measure(_ clients: [KafkaClient]) async throws -> BenchReport {
        let partitions = try await load.prepareTopic(clients[0])
        let ends = verify ? try await clients[0].offsets(.latest, of: partitions) : [:]
        let run = UInt64.random(in: .min ... .max)
        var workers: [BenchWorker] = []
        for (number, client) in clients.enumerated() {
            workers.append(
                try await BenchWorker(client, plan: plan(number, run: run), settings: producerSettings))
        }
        let before = ProcessUsage.current
        let started = Clock.system.now()
        var progress = BenchProgress(isQuiet: load.json)
        var recent = LoadResult()
        let results = try await runWorkers(workers, pacedBy: clients[0]) { sum in
            recent.recent.merge(sum.recent)
            try progress.update {
                defer { recent = sum }
                return status(sum, since: recent, started)
            }
        }
        try progress.clear()
        var report = report(results, partitionCount: partitions.count, before: before)
        if verify {
            report.verification = try await readBack(results, run: run, from: ends, partitions, clients[0])
        }
        return report
    }

    /// Each client does its share of the count and of the rate.
    private func plan(_ number: Int, run: UInt64) -> LoadPlan {
        let share = total.map { $0 / clients + (number < $0 % clients ? 1 : 0) }
        return LoadPlan(
            topic: load.topic, slotsFrom: number, size: load.size, compressibility: load.compressibility, count: share,
            durationNanoseconds: load.durationNanoseconds, rate: load.rate.map { $0 / Double(clients) },
            isStamped: verify, run: run &+ UInt64(number), seed: UInt64(number) + 1)
    }

    private func status(_ sum: LoadResult, since last: LoadResult, _ started: Instant) -> String {
        let now = Clock.system.now()
        let elapsed = now.nanoseconds(since: started)
        let interval = Double(now.nanoseconds(since: last.endedAt ?? started)) / 1e9
        let rate = interval > 0 ? Double(sum.delivered - last.delivered) / interval : 0
        var text = "\(Humanised.count(sum.delivered)) records  \(Humanised.count(Int(rate)))/s  "
        text += Humanised.megabytes(perSecond: rate * Double(load.size))
        text += "  in flight \(Humanised.count(sum.appended - sum.delivered - sum.failed))"
        text += "  p50 \(Humanised.duration(nanoseconds: last.recent.percentile(50)))"
        text += "  p99 \(Humanised.duration(nanoseconds: last.recent.percentile(99)))"
        if sum.failed > 0 { text += "  failed \(Humanised.count(sum.failed))" }
        if let total { text += "  " + ProgressLine.estimate(done: sum.delivered, total: total, elapsed: elapsed) }
        return text
    }

    private func report(_ results: [LoadResult], partitionCount: Int, before: ProcessUsage) -> BenchReport {
        var sum = LoadResult()
        for result in results { sum.merge(result) }
        var report = BenchReport(
            kind: "produce", topic: load.topic, usageBefore: before, usageAfter: ProcessUsage.current)
        report.parameters =
            load.parameters(partitionCount: partitionCount, isIdempotent: producerSettings.isIdempotent)
            + [("clients", "\(clients)")]
        report.records = sum.delivered
        report.failed = sum.failed
        report.payloadBytes = sum.payloadBytes
        report.wireBytes = sum.wireBytes
        report.seconds = sum.seconds
        report.clientRates = results.map { $0.seconds > 0 ? Double($0.delivered) / $0.seconds : 0 }
        if load.acks != .none { report.latencies = [.init(name: "acknowledge", histogram: sum.latency)] }
        if let rate = load.rate {
            report.notes.append(
                "Latency counts from the instant a record was due at \(Humanised.count(Int(rate))) records/s "
                    + "(corrected for coordinated omission).")
        }
        if let error = sum.firstError { report.notes.append("First error: \(error)") }
        return report
    }

    /// Reads from where the topic ended before the run to where it ends now.
    private func readBack(
        _ results: [LoadResult], run: UInt64, from starts: [TopicPartition: Offset?], _ partitions: [TopicPartition],
        _ client: KafkaClient
    ) async throws -> Verification {
        let ends = try await client.offsets(.latest, of: partitions)
        var ranges: [TopicPartition: ReadRange] = [:]
        for partition in partitions {
            ranges[partition] = ReadRange(
                from: (starts[partition] ?? nil) ?? .zero, upTo: (ends[partition] ?? nil) ?? .zero)
        }
        var check = StampCheck(runs: (0..<UInt64(clients)).map { run &+ $0 })
        let consumer = await Consumer(client)
        await consumer.assign(ranges)
        while true {
            let taken = await consumer.take(timeoutMilliseconds: 1_000)
            for chunk in taken.chunks { try check.see(chunk) }
            if let error = taken.errors.first { throw error }
            if taken.isFinished { break }
        }
        var verdict = check.verdict
        // Records lost at the end of a partition leave no gap behind them.
        let written = results.reduce(0) { $0 + $1.delivered }
        verdict.missing = max(verdict.missing, written - (verdict.seen - verdict.duplicated))
        return verdict
    }
}

extension LoadOptions {
    /// The parameters as a report echoes them.
    func parameters(partitionCount: Int, isIdempotent: Bool) -> [(name: String, value: String)] {
        [
            ("size", "\(size) B"), ("partitions", "\(partitionCount)"),
            ("rate", rate.map { "\(Humanised.count(Int($0))) records/s" } ?? "unlimited"),
            ("acks", acks == .all ? "all" : "\(acks.rawValue)"), ("codec", codec.name), ("batch", batch),
            ("linger", "\(linger) ms"), ("inFlight", "\(inFlight)"), ("idempotent", isIdempotent ? "yes" : "no"),
            ("compressibility", Humanised.decimal(compressibility, places: 2)),
        ]
    }
}
