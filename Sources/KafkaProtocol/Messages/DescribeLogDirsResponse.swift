// SPDX-License-Identifier: Apache-2.0
//
// DescribeLogDirsResponse.swift
// DescribeLogDirs (key 35) response, versions 1 to 5; flexible from version 2.

/// The directories that hold partitions, and how much each partition takes.
public struct DescribeLogDirsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeLogDirs

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The directories.
    public var directories: [Directory]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, directories: [Directory] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.directories = directories
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeLogDirs, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try version >= 3 ? reader.errorCode() : .none
        directories = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeLogDirs, version: version)
        writer.int32(throttleTimeMilliseconds)
        if version >= 3 { writer.errorCode(errorCode) }
        writer.array(directories, version: version)
        writer.taggedFields()
    }
}

extension DescribeLogDirsResponse {
    /// One directory and what it holds.
    public struct Directory: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// Where it is.
        public var path: String
        /// What it holds.
        public var topics: [Topic]
        /// The size of its volume; -1 when unknown.
        public var totalBytes: Int64
        /// What is free on its volume; -1 when unknown.
        public var usableBytes: Int64
        /// Whether it takes no new partitions, from version 5 on.
        public var isCordoned: Bool

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, path: String, topics: [Topic] = [], totalBytes: Int64 = -1,
            usableBytes: Int64 = -1, isCordoned: Bool = false
        ) {
            self.errorCode = errorCode
            self.path = path
            self.topics = topics
            self.totalBytes = totalBytes
            self.usableBytes = usableBytes
            self.isCordoned = isCordoned
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            path = try reader.string()
            topics = try reader.array(version: version)
            totalBytes = try version >= 4 ? reader.int64() : -1
            usableBytes = try version >= 4 ? reader.int64() : -1
            isCordoned = try version >= 5 ? reader.bool() : false
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.string(path)
            writer.array(topics, version: version)
            if version >= 4 {
                writer.int64(totalBytes)
                writer.int64(usableBytes)
            }
            if version >= 5 { writer.bool(isCordoned) }
            writer.taggedFields()
        }
    }

    /// The partitions of one topic.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition and its size.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The bytes of its log.
        public var sizeBytes: Int64
        /// How far it is behind the high watermark.
        public var offsetLag: Int64
        /// Whether it is a copy that is being made.
        public var isFuture: Bool

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, sizeBytes: Int64, offsetLag: Int64 = 0, isFuture: Bool = false) {
            self.index = index
            self.sizeBytes = sizeBytes
            self.offsetLag = offsetLag
            self.isFuture = isFuture
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            sizeBytes = try reader.int64()
            offsetLag = try reader.int64()
            isFuture = try reader.bool()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(sizeBytes)
            writer.int64(offsetLag)
            writer.bool(isFuture)
            writer.taggedFields()
        }
    }
}
