// SPDX-License-Identifier: Apache-2.0
//
// BenchConsumeCommand.swift
// `goulette bench consume`: how fast a cluster hands records out.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization
import Terminal

struct BenchConsumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consume", abstract: "Read a topic from its start to its present end.",
        discussion: "Checksums of all batches are compared; --verify also unpacks and parses every record.")

    @Argument(help: "The topic.")
    var topic: String

    @Option(name: [.customShort("n"), .customLong("count")], help: "Stop after about this many records.")
    var count: Int?

    @Option(help: "How many clients; they share the partitions.")
    var clients = 1

    @Option(help: "The most that one answer carries, such as 8MiB.")
    var fetch = "8MiB"

    @Flag(help: "Unpack and parse every record, and check that offsets rise by one.")
    var verify = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    /// What the clients have counted.
    private struct Tally {
        var records = 0
        var wireBytes = 0
        var payloadBytes = 0
        var finished = 0
        var error: ClientError?
        var verdict = Verification()
        var lastOffsets: [TopicPartition: Offset] = [:]
    }

    func validate() throws {
        guard (1...64).contains(clients) else { throw ValidationError("From 1 to 64 clients.") }
        if let count, count < 1 { throw ValidationError("The count is below 1.") }
        guard let size = ByteCount(parsing: fetch), (1024...(256 << 20)).contains(size.bytes) else {
            throw ValidationError("'\(fetch)' is not a size from 1KiB to 256MiB")
        }
    }

    func run() async throws {
        let report = try await connection.withClients(clients, "the benchmark did not finish") { try await measure($0) }
        try FileOutput.standardOutput.write(
            json ? report.json.indented + "\n" : report.text(palette: connection.palette))
        guard report.verification?.isGood != false else {
            throw ArgumentParser.ExitCode(Terminal.ExitCode.failed.rawValue)
        }
    }

    private func measure(_ clients: [KafkaClient]) async throws -> BenchReport {
        let ranges = try await wholeTopic(clients[0])
        let shares = shares(of: ranges, among: clients.count)
        let tallies = shares.map { _ in TallyBox() }
        let before = ProcessUsage.current
        let started = Clock.system.now()
        for (number, share) in shares.enumerated() { try await start(clients[number], share, tallies[number]) }
        var progress = BenchProgress(isQuiet: json)
        var (last, lastAt) = (0, started)
        var seconds = 0.0
        while true {
            let now = Clock.system.now()
            let seen = tallies.map { $0.tally.withLock { $0 } }
            seconds = Double(now.nanoseconds(since: started)) / 1e9
            let records = seen.reduce(0) { $0 + $1.records }
            if let error = seen.compactMap(\.error).first { throw error }
            if seen.allSatisfy({ $0.finished > 0 }) || records >= count ?? .max { break }
            try progress.update {
                defer { (last, lastAt) = (records, now) }
                let interval = Double(now.nanoseconds(since: lastAt)) / 1e9
                let rate = interval > 0 ? Double(records - last) / interval : 0
                return "\(Humanised.count(records)) records  \(Humanised.count(Int(rate)))/s"
            }
            await clients[0].pause(milliseconds: 5)
        }
        try progress.clear()
        return report(tallies.map { $0.tally.withLock { $0 } }, seconds: seconds, ranges.count, before)
    }

    private func wholeTopic(_ client: KafkaClient) async throws(ClientError) -> [TopicPartition: ReadRange] {
        let metadata = try await client.readyMetadata(topics: [topic])
        let partitions = (metadata.topics[topic]?.partitions ?? []).map {
            TopicPartition(topic: topic, partition: $0.index)
        }
        let starts = try await client.offsets(.earliest, of: partitions)
        let ends = try await client.offsets(.latest, of: partitions)
        var ranges: [TopicPartition: ReadRange] = [:]
        for partition in partitions {
            ranges[partition] = ReadRange(
                from: (starts[partition] ?? nil) ?? .zero, upTo: (ends[partition] ?? nil) ?? .zero)
        }
        return ranges
    }

    private func shares(of ranges: [TopicPartition: ReadRange], among count: Int) -> [[TopicPartition: ReadRange]] {
        var shares = [[TopicPartition: ReadRange]](repeating: [:], count: count)
        for (place, entry) in ranges.sorted(by: { $0.key.partition < $1.key.partition }).enumerated() {
            shares[place % count][entry.key] = entry.value
        }
        return shares
    }

    /// The tally of one client, shared by its event loop and the task that prints.
    private final class TallyBox: Sendable {
        let tally = Mutex(Tally())
    }

    private func start(_ client: KafkaClient, _ share: [TopicPartition: ReadRange], _ box: TallyBox) async throws {
        guard !share.isEmpty else { return box.tally.withLock { $0.finished = 1 } }
        var settings = ConsumerSettings()
        settings.bytesMax = Int32(clamping: ByteCount(parsing: fetch)?.bytes ?? 8 << 20)
        settings.partitionBytesMax = settings.bytesMax
        let consumer = await Consumer(client, settings: settings)
        let verify = verify
        await consumer.onLoop { event in
            switch event {
            case .success(let chunk): Self.count(chunk, verify: verify, box)
            case .failure(let error): box.tally.withLock { $0.error = $0.error ?? error }
            case nil: box.tally.withLock { $0.finished += 1 }
            }
        }
        await consumer.assign(share)
    }

    private static func count(_ chunk: FetchedChunk, verify: Bool, _ box: TallyBox) {
        let records = chunk.recordCountMax
        let raw = chunk.batches.reduce(0) { $0 + $1.totalBytes - RecordBatchHeader.byteCount }
        guard verify else {
            return box.tally.withLock { tally in
                tally.records += records
                tally.wireBytes += chunk.byteCount
                tally.payloadBytes += raw
            }
        }
        box.tally.withLock { tally in
            tally.wireBytes += chunk.byteCount
            var last = tally.lastOffsets[chunk.partition]
            var (verdict, payload) = (tally.verdict, 0)
            do {
                let count = try chunk.forEachRecord(context: CompressionContext()) { record, _ throws(RecordError) in
                    if let last, record.offset.rawValue != last.rawValue + 1 { verdict.missing += 1 }
                    last = record.offset
                    payload += (record.keyByteCount ?? 0) + (record.valueByteCount ?? 0)
                    verdict.seen += 1
                }
                tally.records += count
            } catch {
                tally.error = ClientError(
                    .corruptData, attempted: "read records", place: "\(chunk.partition)", detail: "\(error)")
            }
            tally.lastOffsets[chunk.partition] = last
            tally.verdict = verdict
            tally.payloadBytes += payload
        }
    }

    private func report(
        _ tallies: [Tally], seconds: Double, _ partitionCount: Int, _ before: ProcessUsage
    ) -> BenchReport {
        var report = BenchReport(kind: "consume", topic: topic, usageBefore: before, usageAfter: ProcessUsage.current)
        report.parameters = [
            ("partitions", "\(partitionCount)"), ("fetch", fetch), ("clients", "\(clients)"),
            ("checks", verify ? "checksums and records" : "checksums"),
        ]
        report.records = tallies.reduce(0) { $0 + $1.records }
        report.wireBytes = tallies.reduce(0) { $0 + $1.wireBytes }
        report.payloadBytes = tallies.reduce(0) { $0 + $1.payloadBytes }
        report.seconds = seconds
        report.clientRates = tallies.map { seconds > 0 ? Double($0.records) / seconds : 0 }
        if verify { report.verification = tallies.reduce(into: Verification()) { $0.merge($1.verdict) } }
        return report
    }
}
