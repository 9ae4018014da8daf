// SPDX-License-Identifier: Apache-2.0
//
// ValueTextTests.swift
// Numbers, times, bytes, JSON and errors as text.

import Model
import Terminal
import Testing

@Suite struct ValueTextTests {
    @Test(
        arguments: [
            (0, "0 ns"), (999, "999 ns"), (1_000, "1 us"), (1_250, "1.25 us"), (85_400, "85.4 us"), (850_000, "850 us"),
            (999_600, "1 ms"), (1_250_000, "1.25 ms"), (59_000_000_000, "59 s"), (125_000_000_000, "2 min 5 s"),
            (7_500_000_000_000, "2 h 5 min"), (200_000_000_000_000, "2 d 7 h"),
        ] as [(UInt64, String)])
    func durations(_ nanoseconds: UInt64, _ text: String) {
        #expect(Humanised.duration(nanoseconds: nanoseconds) == text)
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")])
    func counts(_ value: Int, _ text: String) {
        #expect(Humanised.count(value) == text)
    }

    @Test(
        arguments: [
            ("0", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000),
            ("5", nil), ("s", nil), ("-1s", nil), ("9999999999999999999d", nil), ("106751991168d", nil),
        ] as [(String, Int64?)])
    func durationsAreRead(_ text: String, _ milliseconds: Int64?) {
        #expect(Humanised.milliseconds(parsing: text) == milliseconds)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64(_ text: String, _ encoded: String) {
        #expect(ByteText.base64(Array(text.utf8)) == encoded)
    }

    @Test func jsonKeepsOrderAndEscapes() {
        let value = JSONValue.object([
            ("z", .integer(1)), ("a", .array([.null, .boolean(true), .number(1.5), .number(-0.125), .number(.nan)])),
            ("text", .string("a\"\\\n\u{01}é")), ("empty", .array([])),
        ])
        #expect(
            value.line
                == #"{"z":1,"a":[null,true,1.5,-0.125,null],"text":"a\"\\\n\u0001é","empty":[]}"#)
        #expect(JSONValue.object([("a", .array([.integer(1)]))]).indented == "{\n  \"a\": [\n    1\n  ]\n}")
    }

    @Test func documentsAreYAMLToo() {
        let value = JSONValue.object([
            ("name", .string("orders")), ("replicas", .array([.integer(1), .string("a,b")])), ("empty", .array([])),
            (
                "partitions",
                .array([
                    .object([("index", .integer(0)), ("leader", .null), ("at", .object([("x", .number(1.5))]))]),
                    .array([.boolean(true)]), .object([]), .object([("deep", .array([.object([("a", .integer(1))])]))]),
                ])
            ),
            ("no", .string("no")), ("number", .string("12")), ("odd", .string("a: \"b\"\n#c")),
        ])
        #expect(
            value.yaml == """
                name: orders
                replicas: [1, "a,b"]
                empty: []
                partitions:
                  - index: 0
                    leader: null
                    at:
                      x: 1.5
                  - [true]
                  - {}
                  - deep:
                      - a: 1
                "no": "no"
                number: "12"
                odd: "a: \\"b\\"\\n#c"

                """)
        #expect(JSONValue.array([.string("a"), .object([("b", .null)])]).yaml == "- a\n- b: null\n")
        #expect(JSONValue.array([]).yaml == "[]\n" && JSONValue.string("x").yaml == "x\n")
    }

    @Test func failuresAreThreeLinesAndCausesWithVerbose() {
        let failure = Failure(
            "cannot create topic orders", place: "broker 1: TOPIC_ALREADY_EXISTS", advice: "choose another name",
            causes: ["response code 36"])
        let plain = Palette(isEnabled: false)
        #expect(
            failure.text(palette: plain) == """
                error: cannot create topic orders
                   at: broker 1: TOPIC_ALREADY_EXISTS
                  try: choose another name

                """)
        #expect(failure.text(palette: plain, verbose: true).hasSuffix("cause: response code 36\n"))
        #expect(failure.json.line.contains(#""exitCode":1"#))
    }

    @Test func exitCodesAreWhatTheDocumentationSays() {
        #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 10, 20, 21, 64, 69, 75, 77, 78, 130])
    }
}
