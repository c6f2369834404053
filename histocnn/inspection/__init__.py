"""What a network is made of, looks at and believes: functions of any torch module."""
