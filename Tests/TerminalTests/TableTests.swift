// SPDX-License-Identifier: Apache-2.0
//
// TableTests.swift
// Alignment, colour and hostile text in tables.

import Terminal
import Testing

@Suite struct TableTests {
    private let plain = Palette(isEnabled: false)

    @Test func alignsNumbersToTheRightAndLeavesNoTrailingSpaces() {
        var table = Table([.init("topic"), .init("partitions", .right), .init("state")])
        table.add(["orders", .number(12), "ok"])
        table.add(["payments-eu", .number(3), ""])
        #expect(
            table.text(palette: plain) == """
                TOPIC        PARTITIONS  STATE
                orders               12  ok
                payments-eu           3

                """)
    }

    @Test func countsWideCharactersAsTwoColumns() {
        var table = Table([.init("name"), .init("n", .right)])
        table.add(["日本", .number(1)])
        table.add(["abcd", .number(2)])
        #expect(table.text(palette: plain) == "NAME  N\n日本  1\nabcd  2\n")
    }

    @Test func paintsOnlyTheValueAndOnlyWhenEnabled() {
        var table = Table([.init("state"), .init("x")])
        table.add([TableCell("up", state: .healthy), "y"])
        #expect(table.text(palette: Palette(isEnabled: true)) == "STATE  X\n\u{1B}[32mup\u{1B}[0m     y\n")
        #expect(table.text(palette: plain) == "STATE  X\nup     y\n")
    }

    @Test func storedTextCannotMoveTheCursor() {
        #expect(TableCell("a\u{1B}[2Jb\n").text == "a\u{FFFD}[2Jb\u{FFFD}")
    }

    @Test func factsLineUp() {
        var facts = FactList()
        facts.add("id", .number(7))
        facts.add("cleanup.policy", "delete")
        #expect(facts.text(palette: plain) == "id              7\ncleanup.policy  delete\n")
    }

    @Test(
        arguments: [
            (true, false, [:], true), (false, false, [:], false), (true, true, [:], false),
            (true, false, ["NO_COLOR": "1"], false), (true, false, ["NO_COLOR": ""], true),
            (true, false, ["TERM": "dumb"], false),
        ] as [(Bool, Bool, [String: String], Bool)])
    func colourNeedsATerminalAndNoObjection(_ terminal: Bool, _ flag: Bool, _ variables: [String: String], _ on: Bool) {
        #expect(Palette(isTerminal: terminal, noColourFlag: flag, environment: variables).isEnabled == on)
    }

    @Test func truncatesByColumns() {
        #expect("abc".truncated(toColumns: 2) == "ab")
        #expect("日本".truncated(toColumns: 3) == "日")
    }
}
