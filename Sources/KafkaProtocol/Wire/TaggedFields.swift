// SPDX-License-Identifier: Apache-2.0
//
// TaggedFields.swift
// The tagged fields that end a struct, gathered before they are written because each states its size first.

/// Tagged fields in the order of their tags.
///
/// A field at its default is not added. An empty list costs no allocation.
public struct TaggedFields: Sendable {
    private(set) var entries: [(tag: UInt32, bytes: [UInt8])] = []

    /// Creates an empty list.
    public init() {}

    /// Adds one field, written by `write`; tags must ascend.
    public mutating func append(tag: UInt32, _ write: (inout WireWriter) -> Void) {
        precondition(entries.last.map { $0.tag < tag } ?? true, "tag \(tag) is out of order")
        var writer = WireWriter(capacity: 32, isFlexible: true)
        write(&writer)
        entries.append((tag, writer.gathered))
    }
}
