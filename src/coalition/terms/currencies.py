"""The codes of the world's currencies, so that a mistyped one is found. Digits are settlement's."""

# ISO 4217 list one, as of 2026, without funds, precious metals and test codes.
ISO_4217 = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD
    KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYI UYU UYW UZS
    VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a block of codes is read more easily than a list of strings
)

# What people write instead, in capitals, and the code that is meant.
MEANT = {
    "RMB": "CNY", "CNH": "CNY", "YUAN": "CNY", "RENMINBI": "CNY", "元": "CNY",
    "NTD": "TWD", "NT$": "TWD", "HK$": "HKD", "YEN": "JPY", "STG": "GBP", "£": "GBP",
    "EURO": "EUR", "€": "EUR", "$": "USD", "US$": "USD", "SFR": "CHF",
}  # fmt: skip
