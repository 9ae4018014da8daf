// SPDX-License-Identifier: Apache-2.0
//
// TopicName.swift
// The rules a topic name must keep (Kafka's, so that every client agrees with us).

/// Checks of topic names.
public enum TopicName {
    /// The longest name, in bytes.
    public static let bytesMax = 249

    /// Why `name` is refused, as a sentence for the user; nil when it is fine.
    public static func problem(with name: String) -> String? {
        if name.isEmpty { return "Topic name is empty" }
        if name == "." || name == ".." { return "Topic name cannot be \(name)" }
        if name.utf8.count > bytesMax { return "Topic name is longer than \(bytesMax) characters" }
        let legal = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return legal ? nil : "Topic name \(name) has characters other than ASCII letters, digits, '.', '_' and '-'"
    }

    /// Whether other brokers keep their own state in a topic of this name.
    ///
    /// Here it lies elsewhere, so such a topic could only be made by mistake, and clients would take it for the real one.
    public static func isReserved(_ name: String) -> Bool {
        name == "__consumer_offsets" || name == "__transaction_state" || name == "__cluster_metadata"
    }

    /// What two names share when they would collide in metric names, where '.' and '_' are the same.
    public static func collisionKey(_ name: String) -> String {
        String(decoding: name.utf8.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
    }
}
