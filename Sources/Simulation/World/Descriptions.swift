// SPDX-License-Identifier: Apache-2.0
//
// Descriptions.swift
// Messages and directives in the words of the trace.

internal import Raft

/// A message in a line, without sender and receiver.
func describe(_ message: Message) -> String { message.described { "op \($0)" } }

/// A directive in a line.
func describe(_ directive: Raft.Directive<UInt64>) -> String { directive.described { "op \($0)" } }
