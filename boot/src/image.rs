//! Where the linker put things: the symbols of `stockade.ld`.

use stockade_kernel::machine::ImageLayout;

macro_rules! address_of {
    ($symbol:ident) => {{
        unsafe extern "C" {
            static $symbol: u8;
        }
        &raw const $symbol as u64
    }};
}

/// The sections and the guard pages of the running image.
pub fn layout() -> ImageLayout {
    ImageLayout {
        text: address_of!(__text_start)..address_of!(__text_end),
        rodata: address_of!(__rodata_start)..address_of!(__rodata_end),
        data: address_of!(__data_start)..address_of!(__data_end),
        guards: [
            address_of!(__guard_exception),
            address_of!(__guard_double_fault),
            address_of!(__guard_machine_check),
            address_of!(__guard_main),
        ],
    }
}

/// The tops of the stacks for exceptions, for double faults, and for machine checks.
pub fn exception_stacks() -> [u64; 3] {
    [
        address_of!(__stack_exception),
        address_of!(__stack_double_fault),
        address_of!(__stack_machine_check),
    ]
}
