// SPDX-License-Identifier: Apache-2.0
//
// ProducerSettings.swift
// How a producer gathers, sends and repeats; what it takes in and what it reports.

public import Model
public import NIOCore
public import Records

/// Which copies must have a batch before it counts as written.
public enum Acknowledgement: Int16, Sendable, CaseIterable {
    /// Nobody answers; a batch counts as written when it left the socket.
    case none = 0
    /// The leader has it.
    case leader = 1
    /// Every replica that is in sync has it.
    case all = -1
}

/// How a producer behaves.
public struct ProducerSettings: Sendable {
    /// Which copies must have a batch.
    public var acknowledgement = Acknowledgement.all
    /// How batches are compressed.
    public var codec = CompressionCodec.none
    /// How long a batch may wait for more records.
    ///
    /// With 0 a batch still gathers while earlier ones are in flight.
    public var lingerMilliseconds: Int64 = 5
    /// The size, before compression, at which a batch is closed.
    ///
    /// One record may exceed it.
    public var batchBytesMax = 512 << 10
    /// The most that one request carries.
    public var requestBytesMax = 4 << 20
    /// The most requests that may wait for answers at one broker.
    public var inFlightMax = 5
    /// The most that may wait in memory, in flight included.
    public var bufferBytesMax = 64 << 20
    /// Whether the broker removes duplicates.
    ///
    /// Needs acknowledgement by all.
    public var isIdempotent = false
    /// How long a batch may take with all its retries before it is given up.
    public var deliveryTimeoutMilliseconds: Int64 = 60_000

    /// Creates settings with every default.
    public init() {}

    /// Why these settings cannot be used together; nil when they can.
    public var problem: String? {
        if isIdempotent && acknowledgement != .all {
            return "an idempotent producer needs acknowledgement by all replicas"
        }
        if isIdempotent && inFlightMax > 5 { return "an idempotent producer may have at most 5 requests in flight" }
        if inFlightMax < 1 || batchBytesMax < 1 || bufferBytesMax < batchBytesMax { return "a limit is too small" }
        return nil
    }
}

/// A record to be written.
public struct ProducerRecord: Sendable {
    /// Where it goes.
    public var topic: String
    /// Its partition; nil lets the producer choose, by the key when there is one.
    public var partition: PartitionIndex?
    /// Its key; may be nil.
    public var key: ByteBuffer?
    /// Its value; nil deletes the key from a compacted topic.
    public var value: ByteBuffer?
    /// Its headers in order.
    public var headers: [RecordHeader]
    /// Its time in milliseconds; nil takes the time at which it is appended.
    public var timestamp: Int64?

    /// Describes a record.
    public init(
        topic: String, partition: PartitionIndex? = nil, key: ByteBuffer? = nil, value: ByteBuffer?,
        headers: [RecordHeader] = [], timestamp: Int64? = nil
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }
}

/// What became of one batch.
///
/// There is one for each batch, in order for each partition.
public struct Delivery: Sendable {
    /// Records that were appended, or were due, at the same instant.
    public struct Stamp: Equatable, Sendable {
        /// When.
        public let instant: Instant
        /// How many.
        public var count: Int
    }

    /// The partition.
    public let partition: TopicPartition
    /// The offset of its first record; nil when it failed or when nobody tells.
    public let baseOffset: Offset?
    /// How many records.
    public let recordCount: Int
    /// The size on the wire.
    public let byteCount: Int
    /// When its records were appended, oldest first, so that latency is known without an entry a record.
    public let stamps: [Stamp]
    /// Why it was given up; nil when it was written.
    public let error: ClientError?
}
