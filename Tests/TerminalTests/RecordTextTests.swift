// SPDX-License-Identifier: Apache-2.0
//
// RecordTextTests.swift
// Percent formats, JSON records and offset specifications.

import Model
import Terminal
import Testing

@Suite struct RecordTextTests {
    private let record = DisplayRecord(
        topic: "t", partition: PartitionIndex(rawValue: 3), offset: Offset(258),
        timestamp: WallTime(milliseconds: 1_767_225_600_250), leaderEpoch: 5, key: Array("k1".utf8),
        value: [0xFF, 0x00], headers: [(key: "a", value: [0x31]), (key: "b", value: nil)])

    private func text(_ format: String, _ record: DisplayRecord) throws -> String {
        var output: [UInt8] = []
        try RecordFormat(parsing: format).write(record, ordinal: 9, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test(arguments: [
        ("%t/%p@%o", "t/3@258"), ("%k=%v{hex}", "k1=ff00"), ("%v{base64}", "/wA="),
        ("%d %T", "1767225600250 1767225600250"),
        ("%d{rfc3339}", "2026-01-01T00:00:00.250Z"), ("%K %V %S %H %e %i %l", "2 2 2 2 5 9 1"), ("%h", "a=1,b=NULL"),
        ("%h{[%k:%v]}", "[a:1][b:]"), ("100%%\\n", "100%\n"), ("%o{hex}", "102"), ("%o{big16}", "\u{1}\u{2}"),
        ("%o{little32}", "\u{2}\u{1}\0\0"), ("\\x41\\t\\\\", "A\t\\"), ("", ""),
    ])
    func formats(_ format: String, _ expected: String) throws {
        #expect(try text(format, record) == expected)
    }

    @Test(arguments: [
        "%", "%q", "%v{rfc3339}", "%o{base64}", "%o{big7}", "%h{%k", "%h{%h}", "\\q", "\\x4", "\\", "%o{hex",
    ])
    func brokenFormatsAreRefused(_ format: String) {
        #expect(throws: RecordFormat.ParseError.self) { try RecordFormat(parsing: format) }
    }

    @Test func nullsPrintNothingAndHaveLengthMinusOne() throws {
        var tombstone = record
        tombstone.value = nil
        #expect(try text("[%v]%V", tombstone) == "[]-1")
    }

    @Test func jsonSaysWhichBytesAreNotText() {
        #expect(
            record.json.line
                == #"{"topic":"t","partition":3,"offset":258,"timestamp":"2026-01-01T00:00:00.250Z","#
                + #""timestampMilliseconds":1767225600250,"key":"k1","value":"/wA=","valueEncoding":"base64","#
                + #""headers":[{"key":"a","value":"1"},{"key":"b","value":null}]}"#)
    }

    private static let now = WallTime(milliseconds: 1_767_225_600_000)

    @Test(
        arguments: [
            ("start", .init(from: .start)), ("end", .init(from: .end)), ("17", .init(from: .absolute(Offset(17)))),
            ("-10", .init(from: .beforeEnd(10))), ("+5", .init(from: .afterStart(5))),
            ("100:200", .init(from: .absolute(Offset(100)), upTo: .absolute(Offset(200)))),
            (":end", .init(from: .start, upTo: .end)), ("5:", .init(from: .absolute(Offset(5)))),
            ("-10:end", .init(from: .beforeEnd(10), upTo: .end)),
            ("@1700000000000", .init(from: .time(WallTime(milliseconds: 1_700_000_000_000)))),
            ("@1700000000", .init(from: .time(WallTime(milliseconds: 1_700_000_000_000)))),
            ("@2026-01-01T00:00:00Z", .init(from: .time(now))),
            ("@-1h", .init(from: .time(WallTime(milliseconds: now.milliseconds - 3_600_000)))),
            (
                "@2026-01-01T00:00:00Z:@2026-01-01T01:00:00Z",
                .init(from: .time(now), upTo: .time(WallTime(milliseconds: now.milliseconds + 3_600_000)))
            ),
        ] as [(String, OffsetSpec)])
    func offsetSpecifications(_ text: String, _ expected: OffsetSpec) {
        #expect(OffsetSpec(parsing: text, now: Self.now) == expected)
    }

    @Test(arguments: ["", "x", "-", "+", "@", "1.5", "--1", "1:x", "@yesterday", "99999999999999999999"])
    func nonsenseIsNotAnOffset(_ text: String) {
        #expect(OffsetSpec(parsing: text, now: Self.now) == nil)
    }
}
