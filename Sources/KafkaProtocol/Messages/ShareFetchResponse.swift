// SPDX-License-Identifier: Apache-2.0
//
// ShareFetchResponse.swift
// ShareFetch (key 78) response, versions 1 and 2; flexible from version 0.

/// The records that a member acquired.
public struct ShareFetchResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareFetch

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// How long the acquired records are locked for the member.
    public var acquisitionLockTimeoutMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]
    /// How to reach the leaders that partitions name (KIP-951).
    public var nodeEndpoints: [NodeEndpoint]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        acquisitionLockTimeoutMilliseconds: Int32 = 0, topics: [Topic] = [], nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.acquisitionLockTimeoutMilliseconds = acquisitionLockTimeoutMilliseconds
        self.topics = topics
        self.nodeEndpoints = nodeEndpoints
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareFetch, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        acquisitionLockTimeoutMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        nodeEndpoints = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareFetch, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.int32(acquisitionLockTimeoutMilliseconds)
        writer.array(topics, version: version)
        writer.array(nodeEndpoints, version: version)
        writer.taggedFields()
    }
}

extension ShareFetchResponse {
    /// One topic and its partitions.
    public typealias Topic = IdentifiedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// Why nothing could be fetched, if so.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?
        /// Why the acknowledgements were refused, if so.
        public var acknowledgeErrorCode: KafkaErrorCode
        /// Why the acknowledgements were refused, as a sentence.
        public var acknowledgeErrorMessage: String?
        /// The leader, when the request was sent to another broker.
        public var currentLeader: LeaderAndEpoch
        /// The record batches; they may hold more than what was acquired.
        public var records: RecordSlices
        /// The records that the member has acquired.
        public var acquiredRecords: [AcquiredRecords]

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
            acknowledgeErrorCode: KafkaErrorCode = .none, acknowledgeErrorMessage: String? = nil,
            currentLeader: LeaderAndEpoch = LeaderAndEpoch(), records: RecordSlices = .empty,
            acquiredRecords: [AcquiredRecords] = []
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.acknowledgeErrorCode = acknowledgeErrorCode
            self.acknowledgeErrorMessage = acknowledgeErrorMessage
            self.currentLeader = currentLeader
            self.records = records
            self.acquiredRecords = acquiredRecords
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            acknowledgeErrorCode = try reader.errorCode()
            acknowledgeErrorMessage = try reader.nullableString()
            currentLeader = try LeaderAndEpoch(from: &reader, version: version)
            records = try RecordSlices(reader.nullableRecords())
            acquiredRecords = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.errorCode(acknowledgeErrorCode)
            writer.nullableString(acknowledgeErrorMessage)
            currentLeader.encode(to: &writer, version: version)
            writer.records(records)
            writer.array(acquiredRecords, version: version)
            writer.taggedFields()
        }
    }

    /// A range of acquired records.
    public struct AcquiredRecords: WireCoded {
        /// The first record.
        public var firstOffset: Int64
        /// The last record, included.
        public var lastOffset: Int64
        /// How often the records were delivered, this time included.
        public var deliveryCount: Int16

        /// Creates a value.
        public init(firstOffset: Int64, lastOffset: Int64, deliveryCount: Int16) {
            self.firstOffset = firstOffset
            self.lastOffset = lastOffset
            self.deliveryCount = deliveryCount
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            firstOffset = try reader.int64()
            lastOffset = try reader.int64()
            deliveryCount = try reader.int16()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(firstOffset)
            writer.int64(lastOffset)
            writer.int16(deliveryCount)
            writer.taggedFields()
        }
    }
}
