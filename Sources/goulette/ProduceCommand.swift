// SPDX-License-Identifier: Apache-2.0
//
// ProduceCommand.swift
// `goulette produce`: each line of the input becomes a record.

import ArgumentParser
import KafkaClient
import Model
import NIOCore
import Records
import Synchronization
import Terminal

struct ProduceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce", abstract: "Write the lines of the input to a topic, one record a line.")

    @Argument(help: "The topic.")
    var topic: String

    @Option(name: .shortAndLong, help: "Read this file instead of standard input.")
    var file: String?

    @Option(name: .shortAndLong, help: "What separates key and value in a line; without it records have no key.")
    var keySeparator: String?

    @Option(name: [.customShort("H"), .long], help: "A header for every record, as key:value. May be repeated.")
    var header: [String] = []

    @Option(name: [.customShort("z"), .long], help: "Compression: none, gzip, snappy, lz4 or zstd.")
    var codec = CompressionCodec.none

    @Option(help: "Who must have a record before it counts as written: 0, 1 or all.")
    var acks = Acknowledgement.all

    @Option(name: .shortAndLong, help: "The partition; chosen by the key otherwise.")
    var partition: Int32?

    @Flag(help: "Let the broker remove duplicates that repeated requests would make.")
    var idempotent = false

    @Flag(help: "An empty value deletes its key (a null value).")
    var tombstone = false

    @Flag(name: .shortAndLong, help: "Do not print the summary.")
    var quiet = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        for text in header where !text.contains(":") {
            throw ValidationError("'\(text)' is not a header, such as key:value")
        }
        if keySeparator?.isEmpty == true { throw ValidationError("The key separator is empty.") }
    }

    /// What the callback has seen.
    private struct Outcome {
        var written = 0
        var failed = 0
        var firstError: ClientError?
    }

    func run() async throws {
        let input = try open()
        let outcome = Mutex(Outcome())
        try await connection.withClient("cannot write to topic \(topic)") { client in
            var settings = ProducerSettings()
            settings.codec = codec
            settings.acknowledgement = acks
            settings.isIdempotent = idempotent
            let producer = try await Producer(client, topics: [topic], settings: settings, mayCreateTopics: true) {
                delivery in
                outcome.withLock { outcome in
                    if let error = delivery.error {
                        outcome.failed += delivery.recordCount
                        outcome.firstError = outcome.firstError ?? error
                    } else {
                        outcome.written += delivery.recordCount
                    }
                }
            }
            try await send(input, to: producer)
            await producer.flush()
        }
        try report(outcome.withLock { $0 })
    }

    private func open() throws -> FileInput {
        guard let file else { return .standardInput }
        do {
            return try FileInput(path: file)
        } catch {
            throw Failure("cannot read \(file)", place: "\(error)", advice: "check the path and its permissions")
        }
    }

    /// Reads the input in large pieces and sends the lines of each as they are complete.
    private func send(_ input: FileInput, to producer: Producer) async throws {
        let headers = header.map { text in
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return RecordHeader(key: String(parts[0]), value: ByteBuffer(string: String(parts[1])))
        }
        let separator = keySeparator.map { Array($0.utf8) }
        var buffer: [UInt8] = []
        var isOpen = true
        while isOpen {
            isOpen = try input.read(into: &buffer, limit: 256 << 10)
            if !isOpen, let last = buffer.last, last != 0x0A { buffer.append(0x0A) }
            guard let end = buffer.lastIndex(of: 0x0A) else { continue }
            let records = buffer[...end].dropLast().split(separator: 0x0A, omittingEmptySubsequences: false).map {
                record($0, separator: separator, headers: headers)
            }
            buffer.removeSubrange(...end)
            try await producer.send(records)
        }
    }

    private func record(_ line: ArraySlice<UInt8>, separator: [UInt8]?, headers: [RecordHeader]) -> ProducerRecord {
        var (key, value): (ArraySlice<UInt8>?, ArraySlice<UInt8>) = (nil, line)
        if let separator, let range = Self.find(separator, in: line) {
            key = line[..<range.lowerBound]
            value = line[range.upperBound...]
        }
        return ProducerRecord(
            topic: topic, partition: partition.map { PartitionIndex(rawValue: $0) },
            key: key.map { ByteBuffer(bytes: $0) },
            value: tombstone && value.isEmpty ? nil : ByteBuffer(bytes: value), headers: headers)
    }

    private static func find(_ separator: [UInt8], in line: ArraySlice<UInt8>) -> Range<Int>? {
        guard line.count >= separator.count else { return nil }
        for start in line.startIndex...(line.endIndex - separator.count)
        where line[start] == separator[0] && line[start..<start + separator.count].elementsEqual(separator) {
            return start..<start + separator.count
        }
        return nil
    }

    private func report(_ outcome: Outcome) throws {
        if let error = outcome.firstError {
            var failure = Failure(error, what: "\(outcome.failed) records were not written to topic \(topic)")
            if outcome.written > 0 { failure.exitCode = .partlyDone }
            throw failure
        }
        guard !quiet else { return }
        try FileOutput.standardError.write("wrote \(Humanised.count(outcome.written)) records to \(topic)\n")
    }
}
