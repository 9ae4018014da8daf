// SPDX-License-Identifier: Apache-2.0
//
// WriteTxnMarkersRequest.swift
// WriteTxnMarkers (key 27) request, versions 1 to 2; flexible from version 1.

/// Ends transactions in the partitions that the receiver leads.
public struct WriteTxnMarkersRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.writeTxnMarkers
    /// What answers this request.
    public typealias Response = WriteTxnMarkersResponse

    /// The transactions.
    public var markers: [Marker]

    /// Creates the message; what is not named is at its default.
    public init(markers: [Marker] = []) {
        self.markers = markers
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.writeTxnMarkers, version: version)
        markers = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.writeTxnMarkers, version: version)
        writer.array(markers, version: version)
        writer.taggedFields()
    }
}

extension WriteTxnMarkersRequest {
    /// The end of one transaction.
    public struct Marker: WireCoded {
        /// The producer's id.
        public var producerID: Int64
        /// The producer's epoch that the marker has.
        public var producerEpoch: Int16
        /// Whether the transaction was committed.
        public var committed: Bool
        /// The partitions that it wrote to.
        public var topics: [TopicPartitionIndexes]
        /// The term of the coordinator.
        public var coordinatorEpoch: Int32
        /// How transactions and epochs go together (KIP-890); 0 before version 2.
        public var transactionVersion: Int8

        /// Creates a value; what is not named is at its default.
        public init(
            producerID: Int64, producerEpoch: Int16, committed: Bool, topics: [TopicPartitionIndexes] = [],
            coordinatorEpoch: Int32, transactionVersion: Int8 = 0
        ) {
            self.producerID = producerID
            self.producerEpoch = producerEpoch
            self.committed = committed
            self.topics = topics
            self.coordinatorEpoch = coordinatorEpoch
            self.transactionVersion = transactionVersion
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            producerID = try reader.int64()
            producerEpoch = try reader.int16()
            committed = try reader.bool()
            topics = try reader.array(version: version)
            coordinatorEpoch = try reader.int32()
            transactionVersion = try version >= 2 ? reader.int8() : 0
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(producerID)
            writer.int16(producerEpoch)
            writer.bool(committed)
            writer.array(topics, version: version)
            writer.int32(coordinatorEpoch)
            if version >= 2 { writer.int8(transactionVersion) }
            writer.taggedFields()
        }
    }
}
