// SPDX-License-Identifier: Apache-2.0
//
// ConsumerSubscription.swift
// Reads the topics out of a consumer's otherwise opaque join metadata; only OffsetDelete and expiry need them.

/// The part of the consumer protocol's subscription that the coordinator looks at.
enum ConsumerSubscription {
    /// The protocol type whose metadata has this layout.
    static let protocolType = "consumer"

    /// The subscribed topics; nil when the bytes are not a subscription.
    ///
    /// Later versions append fields, so only the head is read: int16 version, then an array of strings.
    static func topics(in metadata: [UInt8]) -> [String]? {
        var reader = BinaryReader(metadata)
        do throws(BinaryCodingError) {
            guard try reader.readInteger(Int16.self) >= 0 else { return nil }
            let count = try reader.readInteger(Int32.self)
            guard count >= 0 else { return nil }
            var topics: [String] = []
            for _ in 0..<count {
                let length = try reader.readInteger(Int16.self)
                guard length >= 0 else { return nil }
                topics.append(try reader.readText(byteCount: Int(length)))
            }
            return topics
        } catch {
            return nil
        }
    }
}
