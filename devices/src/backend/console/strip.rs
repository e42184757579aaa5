/// Where a terminal would be in an escape sequence (ECMA-48 §5.3, §5.4), to
/// leave such out of a line. The end of the line ends every sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Strip {
    /// In none.
    #[default]
    Text,
    /// After the escape character.
    Escape,
    /// In a control sequence.
    Control,
    /// In a command string, such as a window's title.
    Command,
    /// In one, after the escape character that may end it.
    CommandEscape,
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

impl Strip {
    /// Takes the next byte; returns whether it is text.
    pub(super) fn keeps(&mut self, byte: u8) -> bool {
        *self = match (*self, byte) {
            (Self::Text, ESCAPE) => Self::Escape,
            (Self::Text, _) => return true,
            (Self::Escape, b'[') => Self::Control,
            // OSC, DCS, SOS, PM and APC.
            (Self::Escape, b']' | b'P' | b'X' | b'^' | b'_') => Self::Command,
            // Intermediate bytes, of which a final one follows.
            (Self::Escape, 0x20..=0x2f) => Self::Escape,
            (Self::Escape | Self::Control, ESCAPE) => Self::Escape,
            (Self::Escape, _) | (Self::Control, 0x40..=0x7e) => Self::Text,
            (Self::Control, 0x20..=0x3f) => Self::Control,
            // No such sequence: what follows is text.
            (Self::Control, _) => Self::Text,
            (Self::Command, BELL) | (Self::CommandEscape, b'\\') => Self::Text,
            (Self::Command | Self::CommandEscape, ESCAPE) => Self::CommandEscape,
            (Self::Command | Self::CommandEscape, _) => Self::Command,
        };
        false
    }
}

/// Console output as text, without escape sequences; what is no UTF-8 is
/// replaced.
pub fn plain(output: &[u8]) -> String {
    let mut strip = Strip::default();
    let text = output.iter().copied().filter(|byte| {
        if matches!(byte, b'\n' | b'\r') {
            strip = Strip::default();
        }
        strip.keeps(*byte)
    });
    String::from_utf8_lossy(&text.collect::<Vec<_>>()).into_owned()
}
