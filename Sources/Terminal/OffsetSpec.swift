// SPDX-License-Identifier: Apache-2.0
//
// OffsetSpec.swift
// Where a consumer begins and ends, as people write it on the command line.

public import Model

/// A range of a partition: `start`, `end`, `100`, `-10`, `+5`, `@TIME`, or two of them with a colon between.
///
/// | written | means |
/// |---|---|
/// | `start`, `end` | the first offset that is kept; the offset the next record will get |
/// | `100` | offset 100 |
/// | `+5`, `-10` | five after the start; ten before the end |
/// | `@1700000000000` | the first record at or after that time, in milliseconds (ten digits or fewer: seconds) |
/// | `@2026-01-31`, `@2026-01-31T12:00:00Z` | the same for a date or an RFC 3339 time |
/// | `@-1h` | the same, counted back from now |
/// | `A:B` | from A up to B, B not included; an empty A is the start, an empty B is for ever |
public struct OffsetSpec: Equatable, Sendable {
    /// One end of the range.
    public enum Position: Equatable, Sendable {
        case start
        case end
        case absolute(Offset)
        case afterStart(Int64)
        case beforeEnd(Int64)
        case time(WallTime)
    }

    /// The first record to read.
    public let from: Position
    /// The first record not to read; nil reads on.
    public let upTo: Position?

    /// Describes a range.
    public init(from: Position, upTo: Position? = nil) {
        self.from = from
        self.upTo = upTo
    }

    /// Reads a specification; nil when it makes no sense.
    ///
    /// A time may hold colons itself, so the text is first tried as one position and then cut at each colon in turn.
    public init?(parsing text: String, now: WallTime) {
        if let position = Self.position(text[...], now: now) {
            self.init(from: position)
            return
        }
        for colon in text.indices where text[colon] == ":" {
            let (first, second) = (text[..<colon], text[text.index(after: colon)...])
            guard let from = first.isEmpty ? .start : Self.position(first, now: now) else { continue }
            if second.isEmpty {
                self.init(from: from)
                return
            }
            guard let upTo = Self.position(second, now: now) else { continue }
            self.init(from: from, upTo: upTo)
            return
        }
        return nil
    }

    private static func position(_ text: Substring, now: WallTime) -> Position? {
        switch text.first {
        case nil: return nil
        case "@": return time(text.dropFirst(), now: now).map { .time($0) }
        case "+": return count(text.dropFirst()).map { .afterStart($0) }
        case "-": return count(text.dropFirst()).map { .beforeEnd($0) }
        default: break
        }
        switch text {
        case "start", "beginning", "earliest": return .start
        case "end", "latest": return .end
        default: return count(text).map { .absolute(Offset($0)) }
        }
    }

    private static func count(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }

    private static func time(_ text: Substring, now: WallTime) -> WallTime? {
        if text.first == "-" {
            let ago = Humanised.milliseconds(parsing: String(text.dropFirst()))
            return ago.map { WallTime(milliseconds: now.milliseconds - $0) }
        }
        if let number = count(text) {
            guard text.utf8.count <= 10 else { return WallTime(milliseconds: number) }
            return WallTime(milliseconds: number * 1000)
        }
        return WallTime(rfc3339: String(text))
    }
}
