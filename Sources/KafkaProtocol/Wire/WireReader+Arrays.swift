// SPDX-License-Identifier: Apache-2.0
//
// WireReader+Arrays.swift
// Arrays and tagged fields. A count is checked against the bytes that are left before anything is reserved.

import NIOCore

extension WireReader {
    /// How many elements are reserved before the first one is read; longer arrays grow as their bytes prove real.
    private static let reservationMax = 1024

    /// Reads an array of structs that may be null.
    public mutating func nullableArray<Element: WireCoded>(version: Int16) throws(WireError) -> [Element]? {
        guard let count = try arrayCount(elementBytesMin: 1) else { return nil }
        var elements: [Element] = []
        elements.reserveCapacity(min(count, Self.reservationMax))
        for _ in 0..<count { elements.append(try Element(from: &self, version: version)) }
        return elements
    }

    /// Reads an array of structs.
    public mutating func array<Element: WireCoded>(version: Int16) throws(WireError) -> [Element] {
        guard let elements: [Element] = try nullableArray(version: version) else { throw .unexpectedNull }
        return elements
    }

    /// Reads a struct that may be null: a byte says whether there is one, -1 for null.
    public mutating func nullableStruct<Element: WireCoded>(version: Int16) throws(WireError) -> Element? {
        try int8() < 0 ? nil : try Element(from: &self, version: version)
    }

    /// Reads an array of bytes as small integers.
    public mutating func int8Array() throws(WireError) -> [Int8] {
        guard let count = try arrayCount(elementBytesMin: 1) else { throw .unexpectedNull }
        var elements: [Int8] = []
        elements.reserveCapacity(min(count, Self.reservationMax))
        for _ in 0..<count { elements.append(try int8()) }
        return elements
    }

    /// Reads an array of strings that may be null.
    public mutating func nullableStringArray() throws(WireError) -> [String]? {
        guard let count = try arrayCount(elementBytesMin: 1) else { return nil }
        var elements: [String] = []
        elements.reserveCapacity(min(count, Self.reservationMax))
        for _ in 0..<count { elements.append(try string()) }
        return elements
    }

    /// Reads an array of strings.
    public mutating func stringArray() throws(WireError) -> [String] {
        guard let elements = try nullableStringArray() else { throw .unexpectedNull }
        return elements
    }

    /// Reads an array of 64-bit integers.
    public mutating func int64Array() throws(WireError) -> [Int64] {
        guard let count = try arrayCount(elementBytesMin: 8) else { throw .unexpectedNull }
        var elements: [Int64] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try int64()) }
        return elements
    }

    /// Reads an array of 32-bit integers.
    public mutating func int32Array() throws(WireError) -> [Int32] {
        guard let elements = try nullableInt32Array() else { throw .unexpectedNull }
        return elements
    }

    /// Reads an array of 32-bit integers that may be null.
    public mutating func nullableInt32Array() throws(WireError) -> [Int32]? {
        guard let count = try arrayCount(elementBytesMin: 4) else { return nil }
        let range = try advance(by: 4 * count)
        let bytes = buffer.readableBytesUInt8Span.extracting(range)
        return [Int32](capacity: count) { elements in
            for place in stride(from: 0, to: 4 * count, by: 4) {
                let word = bytes.extracting(place..<place &+ 4)
                var value: Int32 = 0
                for index in word.indices { value = value << 8 | Int32(word[index]) }
                elements.append(value)
            }
        }
    }

    /// Reads an array's count; nil means null.
    ///
    /// A count that the remaining bytes cannot hold is an error here, so that it never becomes an allocation.
    private mutating func arrayCount(elementBytesMin: Int) throws(WireError) -> Int? {
        let length = try isFlexible ? compactLength() : Self.checkedLength(Int(int32()))
        guard let count = length else { return nil }
        guard count <= remaining / elementBytesMin else { throw .invalidLength(count) }
        guard count <= elementsLeft else { throw .tooManyElements(limit: elementsMax) }
        elementsLeft -= count
        return count
    }
}

// MARK: - Tagged fields

extension WireReader {
    /// Skips the tagged fields that end a struct; nothing in versions that are not flexible.
    public mutating func taggedFields() throws(WireError) {
        try taggedFields { (_, _) throws(WireError) in false }
    }

    /// Reads the tagged fields that end a struct; nothing in versions that are not flexible.
    ///
    /// - Parameter read: is called for each field with its tag, reads it and returns true, or returns false without
    ///   reading when it does not know the tag: then the field is skipped.
    public mutating func taggedFields(
        _ read: (_ tag: UInt32, _ reader: inout WireReader) throws(WireError) -> Bool
    ) throws(WireError) {
        guard isFlexible else { return }
        let count = try unsignedVarint()
        // A field takes two bytes at least: its tag and its size.
        guard Int(count) <= remaining / 2 else { throw .invalidLength(Int(count)) }
        var previous: UInt32?
        for _ in 0..<count {
            let tag = try unsignedVarint()
            if let previous, tag <= previous { throw .tagOrder(tag) }
            previous = tag
            let size = Int(try unsignedVarint())
            guard size <= remaining else { throw .truncated(needed: size, remaining: remaining) }
            let end = cursor + size
            if try read(tag, &self) {
                guard cursor == end else { throw .tagSize(tag) }
            } else {
                cursor = end
            }
        }
    }
}
