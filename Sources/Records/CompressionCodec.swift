// SPDX-License-Identifier: Apache-2.0
//
// CompressionCodec.swift
// The codecs of Kafka record batches.

/// How the records of a batch are compressed; the raw value stands in bits 0-2 of the batch's attributes.
public enum CompressionCodec: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4

    /// The codec that a configuration names; `uncompressed` is what topics call `none`.
    ///
    /// Nil for anything else, also for `producer`, which is no codec.
    public init?(name: String) {
        switch name {
        case "none", "uncompressed": self = .none
        case "gzip": self = .gzip
        case "snappy": self = .snappy
        case "lz4": self = .lz4
        case "zstd": self = .zstd
        default: return nil
        }
    }

    /// The name in Kafka's producer configuration.
    public var name: String {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// The name, for logs.
    public var description: String { name }
}
