// SPDX-License-Identifier: Apache-2.0
//
// BenchCommand.swift
// `goulette bench`: options that the benchmarks share, and the topic they use.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Records
import Terminal

/// Load for a cluster, and what became of it.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure what a cluster can do.",
        subcommands: [BenchProduceCommand.self, BenchConsumeCommand.self, BenchEndToEndCommand.self])
}

/// What is written, and how.
struct LoadOptions: ParsableArguments {
    @Argument(help: "The topic; it is created when it does not exist.")
    var topic: String

    @Option(name: .shortAndLong, help: "The size of a record's value in bytes.")
    var size = 100

    @Option(help: "Records a second over all clients; as fast as possible otherwise.")
    var rate: Double?

    @Option(help: "Stop after this time: 30s, 5m.")
    var duration: String?

    @Option(name: .shortAndLong, help: "Partitions, when the topic is created.")
    var partitions: Int32 = 1

    @Option(name: .shortAndLong, help: "Replicas, when the topic is created.")
    var replicas: Int16?

    @Option(help: "Who must have a record before it counts as written: 0, 1 or all.")
    var acks = Acknowledgement.all

    @Option(name: [.customShort("z"), .long], help: "Compression: none, gzip, snappy, lz4 or zstd.")
    var codec = CompressionCodec.none

    @Option(help: "The size at which a batch is closed, such as 512KiB.")
    var batch = "512KiB"

    @Option(help: "How long a batch may wait for more records, in milliseconds.")
    var linger: Int64 = 0

    @Option(help: "Requests in flight to each broker.")
    var inFlight = 5

    @Option(help: "How compressible values are: 0 random, 1 all alike.")
    var compressibility = 0.5

    @Flag(help: "Let the broker remove duplicates.")
    var idempotent = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard size >= 0, size <= 8 << 20 else { throw ValidationError("A size is from 0 to 8 MiB.") }
        guard (0...1).contains(compressibility) else { throw ValidationError("Compressibility is from 0 to 1.") }
        if let rate, rate <= 0 { throw ValidationError("A rate is above 0.") }
        if let duration, Humanised.milliseconds(parsing: duration) == nil {
            throw ValidationError("'\(duration)' is not a time, such as 30s")
        }
        guard ByteCount(parsing: batch) != nil else {
            throw ValidationError("'\(batch)' is not a size, such as 512KiB")
        }
        if let problem = producerSettings.problem { throw ValidationError(problem) }
    }

    /// The settings of a producer.
    var producerSettings: ProducerSettings {
        var settings = ProducerSettings()
        settings.acknowledgement = acks
        settings.codec = codec
        settings.lingerMilliseconds = linger
        settings.batchBytesMax = ByteCount(parsing: batch)?.bytes ?? settings.batchBytesMax
        settings.inFlightMax = inFlight
        settings.isIdempotent = idempotent
        return settings
    }

    /// The settings of a producer whose records are checked: a batch that has to be repeated is written once.
    ///
    /// Without acknowledgement by all, brokers do not promise that.
    var checkedProducerSettings: ProducerSettings {
        var settings = producerSettings
        settings.isIdempotent = settings.isIdempotent || acks == .all
        return settings
    }

    /// The duration in nanoseconds, when there is one.
    var durationNanoseconds: UInt64? {
        duration.flatMap(Humanised.milliseconds).map { UInt64($0) * 1_000_000 }
    }

    /// Creates the topic unless it exists, and returns its partitions.
    func prepareTopic(_ client: KafkaClient) async throws(ClientError) -> [TopicPartition] {
        if try await client.metadata(topics: [topic]).topics[topic]?.errorCode == .unknownTopicOrPartition {
            do throws(ClientError) {
                try await client.createTopic(NewTopic(topic, partitions: partitions, replicas: replicas))
            } catch {
                guard error.kafka == .topicAlreadyExists else { throw error }
            }
        }
        let metadata = try await client.readyMetadata(topics: [topic])
        return (metadata.topics[topic]?.partitions ?? []).map { TopicPartition(topic: topic, partition: $0.index) }
    }
}

/// Prints progress on standard error while a benchmark runs, and removes it at the end.
struct BenchProgress {
    private var line: ProgressLine
    private let isQuiet: Bool

    init(isQuiet: Bool) {
        let output = FileOutput.standardError
        line = ProgressLine(isTerminal: output.isTerminal, columns: output.columns, startedAt: Clock.system.now())
        self.isQuiet = isQuiet
    }

    /// Draws `text` when it is due.
    mutating func update(_ text: () -> String) throws(OutputError) {
        guard !isQuiet, let bytes = line.update(now: Clock.system.now(), text: text) else { return }
        try FileOutput.standardError.write(bytes)
    }

    /// Removes the line.
    mutating func clear() throws(OutputError) { try FileOutput.standardError.write(line.clear()) }
}
