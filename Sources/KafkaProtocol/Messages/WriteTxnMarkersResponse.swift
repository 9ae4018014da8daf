// SPDX-License-Identifier: Apache-2.0
//
// WriteTxnMarkersResponse.swift
// WriteTxnMarkers (key 27) response, versions 1 to 2; flexible from version 1.

/// What became of each marker.
public struct WriteTxnMarkersResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.writeTxnMarkers

    /// The answer for each transaction.
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

extension WriteTxnMarkersResponse {
    /// The partitions of one topic.
    public typealias Topic = TopicPartitions<PartitionError>

    /// The answer for one transaction.
    public struct Marker: WireCoded {
        /// The producer's id.
        public var producerID: Int64
        /// What each partition says.
        public var topics: [Topic]

        /// Creates a value; what is not named is at its default.
        public init(producerID: Int64, topics: [Topic] = []) {
            self.producerID = producerID
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            producerID = try reader.int64()
            topics = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(producerID)
            writer.array(topics, version: version)
            writer.taggedFields()
        }
    }
}
