// SPDX-License-Identifier: Apache-2.0
//
// WireError.swift
// What can be wrong with bytes that claim to be a Kafka message. The only error this module throws.

/// A message that does not follow its layout; a server closes the connection that sent it.
public enum WireError: Error, Hashable, Sendable {
    /// The bytes end inside a field.
    case truncated(needed: Int, remaining: Int)
    /// A length or count is negative, larger than the bytes that are left, or above the limit of its kind.
    case invalidLength(Int)
    /// More array elements than one message may hold.
    case tooManyElements(limit: Int)
    /// Null stands where the layout allows none.
    case unexpectedNull
    /// A string is not valid UTF-8.
    case invalidUTF8
    /// A variable-length integer does not fit 32 bits.
    case varintOverflow
    /// A tag is not above the one before it.
    case tagOrder(UInt32)
    /// A tagged field is longer or shorter than its size says.
    case tagSize(UInt32)
    /// Bytes are left over after the last field.
    case trailingBytes(Int)
    /// The API key is not one we serve.
    case unknownAPI(Int16)
    /// The API is served, this version of it is not.
    case unsupportedVersion(APIKey, Int16)
}

extension WireError: CustomStringConvertible {
    /// A sentence for a log line.
    public var description: String {
        switch self {
        case .truncated(let needed, let remaining): "message ends early: \(needed) bytes needed, \(remaining) left"
        case .invalidLength(let length): "length \(length) is not possible here"
        case .tooManyElements(let limit): "message holds more than \(limit) array elements"
        case .unexpectedNull: "null where the layout allows none"
        case .invalidUTF8: "string is not valid UTF-8"
        case .varintOverflow: "variable-length integer does not fit 32 bits"
        case .tagOrder(let tag): "tagged field \(tag) is repeated or out of order"
        case .tagSize(let tag): "tagged field \(tag) does not have the size it states"
        case .trailingBytes(let count): "\(count) bytes follow the last field"
        case .unknownAPI(let key): "API key \(key) is not served"
        case .unsupportedVersion(let key, let version): "\(key.name) version \(version) is not served"
        }
    }
}
