// SPDX-License-Identifier: Apache-2.0
//
// TermScan.swift
// Where terms begin, as the index has it and as a scan of the frames finds it. A value.

internal import Model

/// The starts of terms while frames are scanned.
///
/// A power failure may take what the index had of frames that were flushed to their segment, while those behind them stand
/// in the journal: replay brings back the later ones, and takes the first of them for the first of its term. The frames
/// say how it is.
struct TermScan {
    /// Where terms begin, by rising term.
    private(set) var starts: [TermStart]
    /// The term of the entry before the next frame.
    var before = Term.zero

    init(starts: [TermStart]) { self.starts = starts }

    /// Takes the next frame; returns whether it begins a term of which the index had no start, or a later one.
    mutating func note(_ header: FrameHeader) -> Bool {
        defer { before = header.term }
        guard header.term > before else { return false }
        let start = TermStart(term: header.term, firstIndex: header.index, firstOffset: header.baseOffset)
        let place = starts.partitioningIndex { $0.term >= header.term }
        if place == starts.count || starts[place].term > header.term {
            starts.insert(start, at: place)
        } else if starts[place].firstIndex > header.index {
            starts[place] = start
        } else {
            return false
        }
        return true
    }
}
